"""The files of an old policy: the main one, and beside it members, groups of single users, overrides, exemptions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ds01.errors import PolicyUnreadable
from ds01.policy.reading.files import read_text, words
from ds01.policy.reading.nodes import Mapping, Node, Scalar, Sequence, parse
from ds01.policy.reading.problems import Problems, Wrong, unreadable

OVERRIDES = ("user-overrides.yaml", "user-overrides.yml", "user_overrides.yaml")
EXEMPTIONS = ("lifecycle-exemptions.yaml", "lifecycle-exemptions.yml", "exemptions.yaml")
GROUPS_OF_USERS = "group-overrides.txt"
ARCHIVED = "archived"  # the members' file of people whom ds01-infra left alone


@dataclass
class Sources:
    """What was read. `members` are lines of the files by group, with their numbers; `placed` is login -> group."""

    path: Path
    main: Mapping
    overrides: tuple[Path, Mapping] | None = None
    exemptions: tuple[Path, Sequence] | None = None
    members: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    placed: list[tuple[int, str, str]] = field(default_factory=list)


def read_sources(path: Path) -> Sources:
    """Read an old policy and the files beside it. Raises PolicyUnreadable."""
    folder = path.parent
    main = _tree(path)
    if not isinstance(main, Mapping):
        raise _broken(path, Wrong(1, "", "is not a policy", "sections like `defaults` and `groups`"))
    found = Sources(path, main)
    for name in OVERRIDES:
        if found.overrides is None and (folder / name).is_file():
            tree = _tree(folder / name)
            inner = child(tree, "user_overrides") if isinstance(tree, Mapping) else None
            tree = inner if isinstance(inner, Mapping) else tree
            found.overrides = (folder / name, tree if isinstance(tree, Mapping) else Mapping(1, None, []))
    for name in EXEMPTIONS:
        if found.exemptions is None and (folder / name).is_file():
            tree = _tree(folder / name)
            tree = child(tree, "exemptions") if isinstance(tree, Mapping) else tree
            found.exemptions = (folder / name, tree if isinstance(tree, Sequence) else Sequence(1, None, []))
    for file in sorted((folder / "groups").glob("*.members")):
        found.members[file.name.removesuffix(".members")] = list(_text_lines(file))
    if (folder / GROUPS_OF_USERS).is_file():
        for number, line in _text_lines(folder / GROUPS_OF_USERS):
            login, _, group = line.rpartition(":")
            found.placed.append((number, login.strip(), group.strip()))
    return found


def entries(node: Node | None) -> Iterator[tuple[str, int, Node]]:
    """Yield name, line and value of a section's keys; of a repeated key the last counts, as it did then."""
    if isinstance(node, Mapping):
        last = {name.text: (name.text, name.line, value) for name, value in node.entries if isinstance(name, Scalar)}
        yield from last.values()


def child(node: Node | None, name: str) -> Node | None:
    """Return the value of a key; None if there is none."""
    return next((value for key, _, value in entries(node) if key == name), None)


def texts(node: Node | None) -> list[str]:
    """Return the texts of a list, or the one text."""
    if isinstance(node, Scalar):
        return [] if node.is_null else [node.text]
    return [item.text for item in node.items if isinstance(item, Scalar)] if isinstance(node, Sequence) else []


def _tree(path: Path) -> Node | None:
    try:
        return parse(read_text(path))
    except OSError as error:
        raise _broken(path, Wrong(None, "", words(error))) from error
    except Wrong as wrong:
        raise _broken(path, wrong) from wrong


def _text_lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        text = read_text(path)
    except OSError as error:
        raise _broken(path, Wrong(None, "", words(error))) from error
    except Wrong as wrong:
        raise _broken(path, wrong) from wrong
    for number, line in enumerate(text.split("\n"), 1):
        content = line.partition("#")[0].strip()
        if content:
            yield number, content


def _broken(path: Path, wrong: Wrong) -> PolicyUnreadable:
    problems = Problems(str(path))
    problems.note(wrong)
    return unreadable(path, problems.found, message=f"{path} cannot be imported.", hint="correct it there, then again")
