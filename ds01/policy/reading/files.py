"""Read the policy's files: the policy itself, and a file of logins for each group beside it."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from pathlib import Path

from ds01.policy.reading.problems import InvalidNode, PolicyProblem, ProblemList
from ds01.policy.reading.value_types import LOGIN
from ds01.policy.units import InvalidValue, quote_text

MAX_FILE_BYTES = 1 << 20
_ENDING = ".members"


def read_content(path: Path) -> bytes:
    """Return the content of a regular file below 1 MiB. Raises OSError, or InvalidNode for any other file."""
    # Without O_NONBLOCK, opening a FIFO would wait for a writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise InvalidNode(None, "", "it is not a regular file")
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read(MAX_FILE_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(data) > MAX_FILE_BYTES:
        raise InvalidNode(None, "", "the file is larger than 1 MiB")
    return data


def decode_utf8(data: bytes) -> str:
    """Decode the content of a file. Raises InvalidNode if it is not UTF-8."""
    try:
        return data.decode("utf-8-sig")  # some editors write a byte order mark
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidNode(line, "", "this line is not UTF-8", "text in UTF-8") from error


def read_text(path: Path) -> str:
    """Return the text of a regular UTF-8 file below 1 MiB. Raises OSError, or InvalidNode for any other file."""
    return decode_utf8(read_content(path))


def read_members(folder: Path, groups: Collection[str]) -> tuple[dict[str, bytes], list[PolicyProblem]]:
    """Return the content of `NAME.members` in `folder` for each group, by file name, and the problems found."""
    contents: dict[str, bytes] = {}
    wrong: list[PolicyProblem] = []
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except FileNotFoundError:
        return contents, wrong
    except OSError as error:
        return contents, [PolicyProblem(str(folder), None, "", describe_os_error(error), "a directory, or nothing")]
    for name in names:
        if not name.endswith(_ENDING):
            continue
        problems = ProblemList(str(folder / name))
        group = name.removesuffix(_ENDING)
        if group in groups:
            try:
                contents[name] = read_content(folder / name)
            except OSError as error:
                problems.add(None, "", describe_os_error(error))
            except InvalidNode as error:
                problems.add_invalid(error)
        else:  # its members were meant for some group
            problems.add(None, "", f"group {quote_text(group)} does not exist", ", ".join(groups) or "no such file")
        wrong += problems.entries
    return contents, wrong


def parse_members(content: bytes, problems: ProblemList) -> frozenset[str]:
    """Return the logins in the content of a file of members."""
    try:
        lines = decode_utf8(content).split("\n")
    except InvalidNode as wrong:
        problems.add_invalid(wrong)
        return frozenset()
    logins = set()
    for number, line in enumerate(lines, 1):
        login = line.partition("#")[0].strip()
        if not login:
            continue
        try:
            logins.add(LOGIN.read(login))
        except InvalidValue as error:
            problems.add(number, "", error.problem, f"one login a line: {LOGIN.allowed}")
    return frozenset(logins)


def describe_os_error(error: OSError) -> str:
    """Return the system's message, without number and path."""
    return f"cannot be read: {error.strerror or error}"
