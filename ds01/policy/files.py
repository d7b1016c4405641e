"""The texts that the policy stands in: the file itself, and a file of logins for each group beside it."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from pathlib import Path

from ds01.policy.kinds import LOGIN
from ds01.policy.problems import Problem, Problems, Wrong
from ds01.policy.units import NotAllowed, show

LARGEST_FILE = 1 << 20
_ENDING = ".members"


def read_text(path: Path) -> str:
    """The text of a regular file in UTF-8, below 1 MiB. Raises OSError, or Wrong for what is no such file."""
    # Without O_NONBLOCK, opening a FIFO would wait for somebody to write into it.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Wrong(None, "", "is not a regular file")
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read(LARGEST_FILE + 1)
    finally:
        os.close(descriptor)
    if len(data) > LARGEST_FILE:
        raise Wrong(None, "", "is larger than 1 MiB")
    try:
        return data.decode("utf-8-sig")  # some editors begin a file with a byte order mark
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Wrong(line, "", "is not UTF-8", "text in UTF-8") from error


def read_members(folder: Path, groups: Collection[str]) -> tuple[dict[str, frozenset[str]], list[Problem]]:
    """The logins in `folder/NAME.members` for each of `groups`, and what is wrong with these files."""
    found: dict[str, frozenset[str]] = {}
    wrong: list[Problem] = []
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except FileNotFoundError:
        return found, wrong
    except OSError as error:
        return found, [Problem(str(folder), None, "", words(error), "a folder, or nothing")]
    for name in names:
        if not name.endswith(_ENDING):
            continue
        problems = Problems(str(folder / name))
        group = name.removesuffix(_ENDING)
        if group in groups:
            found[group] = _read_members(folder / name, problems)
        else:  # whoever wrote it meant to put people somewhere
            problems.add(None, "", f"there is no group {show(group)}", ", ".join(groups) or "no such file")
        wrong += problems.found
    return found, wrong


def words(error: OSError) -> str:
    """What the system says, without number and path."""
    return f"cannot be read: {error.strerror or error}"


def _read_members(path: Path, problems: Problems) -> frozenset[str]:
    try:
        lines = read_text(path).split("\n")
    except OSError as error:
        problems.add(None, "", words(error))
        return frozenset()
    except Wrong as wrong:
        problems.note(wrong)
        return frozenset()
    logins = set()
    for number, line in enumerate(lines, 1):
        login = line.partition("#")[0].strip()
        if not login:
            continue
        try:
            logins.add(LOGIN.read(login))
        except NotAllowed as error:
            problems.add(number, "", error.problem, f"one login a line: {LOGIN.allowed}")
    return frozenset(logins)
