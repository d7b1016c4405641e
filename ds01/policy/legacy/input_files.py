"""Read the files of an old policy: main file, members, groups of single users, overrides, exemptions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from pathlib import Path

from ds01.dataclass import dataclass
from ds01.errors import PolicyUnreadable
from ds01.policy.reading.files import describe_os_error, read_text
from ds01.policy.reading.nodes import Mapping, Node, Scalar, Sequence, parse_yaml
from ds01.policy.reading.problems import InvalidNode, ProblemList, unreadable_policy

OVERRIDES = ("user-overrides.yaml", "user-overrides.yml", "user_overrides.yaml")
EXEMPTIONS = ("lifecycle-exemptions.yaml", "lifecycle-exemptions.yml", "exemptions.yaml")
GROUPS_OF_USERS = "group-overrides.txt"
ARCHIVED = "archived"  # the file of members whom ds01-infra ignored


@dataclass
class LegacyFiles:
    """The content of the files. `members` has numbered lines by group; `placed` maps login to group."""

    path: Path
    main: Mapping
    overrides: tuple[Path, Mapping] | None = None
    exemptions: tuple[Path, Sequence] | None = None
    members: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    user_groups: list[tuple[int, str, str]] = field(default_factory=list)


def read_legacy_files(path: Path) -> LegacyFiles:
    """Read an old policy and the files beside it. Raises PolicyUnreadable."""
    folder = path.parent
    main = _parse_file(path)
    if not isinstance(main, Mapping):
        raise _import_error(path, InvalidNode(1, "", "this is not a policy", "sections like `defaults` and `groups`"))
    legacy = LegacyFiles(path, main)
    for name in OVERRIDES:
        if legacy.overrides is None and (folder / name).is_file():
            tree = _parse_file(folder / name)
            inner = child_node(tree, "user_overrides") if isinstance(tree, Mapping) else None
            tree = inner if isinstance(inner, Mapping) else tree
            legacy.overrides = (folder / name, tree if isinstance(tree, Mapping) else Mapping(1, None, []))
    for name in EXEMPTIONS:
        if legacy.exemptions is None and (folder / name).is_file():
            tree = _parse_file(folder / name)
            tree = child_node(tree, "exemptions") if isinstance(tree, Mapping) else tree
            legacy.exemptions = (folder / name, tree if isinstance(tree, Sequence) else Sequence(1, None, []))
    for file in sorted((folder / "groups").glob("*.members")):
        legacy.members[file.name.removesuffix(".members")] = list(_content_lines(file))
    if (folder / GROUPS_OF_USERS).is_file():
        for number, line in _content_lines(folder / GROUPS_OF_USERS):
            login, _, group = line.rpartition(":")
            legacy.user_groups.append((number, login.strip(), group.strip()))
    return legacy


def section_entries(node: Node | None) -> Iterator[tuple[str, int, Node]]:
    """Yield name, line and value of a section's keys; the last of repeated keys counts, as in ds01-infra."""
    if isinstance(node, Mapping):
        last = {name.text: (name.text, name.line, value) for name, value in node.entries if isinstance(name, Scalar)}
        yield from last.values()


def child_node(node: Node | None, name: str) -> Node | None:
    """Return the value of a key; None if there is none."""
    return next((value for key, _, value in section_entries(node) if key == name), None)


def node_texts(node: Node | None) -> list[str]:
    """Return the strings of a list, or a single string as a list."""
    if isinstance(node, Scalar):
        return [] if node.is_null else [node.text]
    return [item.text for item in node.items if isinstance(item, Scalar)] if isinstance(node, Sequence) else []


def _parse_file(path: Path) -> Node | None:
    try:
        return parse_yaml(read_text(path))
    except OSError as error:
        raise _import_error(path, InvalidNode(None, "", describe_os_error(error))) from error
    except InvalidNode as wrong:
        raise _import_error(path, wrong) from wrong


def _content_lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        text = read_text(path)
    except OSError as error:
        raise _import_error(path, InvalidNode(None, "", describe_os_error(error))) from error
    except InvalidNode as wrong:
        raise _import_error(path, wrong) from wrong
    for number, line in enumerate(text.split("\n"), 1):
        content = line.partition("#")[0].strip()
        if content:
            yield number, content


def _import_error(path: Path, wrong: InvalidNode) -> PolicyUnreadable:
    problems = ProblemList(str(path))
    problems.add_invalid(wrong)
    return unreadable_policy(
        path, problems.entries, message=f"{path} cannot be imported.", hint="correct the file, then import it again"
    )
