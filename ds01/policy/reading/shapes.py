"""Readers of nodes: a value, a list, a section with known keys, a table with free names.

A reader raises Wrong for its own node; what is wrong further inside is noted in `problems`, and left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ds01.policy.reading.forms import TEXT, Kind, Reader, of_list, of_section, of_table, of_value
from ds01.policy.reading.nodes import Mapping as MappingNode
from ds01.policy.reading.nodes import Node, Scalar, Sequence
from ds01.policy.reading.problems import Problems, Wrong
from ds01.policy.units import NotAllowed, show


class Renamed(NamedTuple):
    """A key of older installations: its name today, its reader, and its value as it is written today."""

    key: str
    reader: Reader
    write: Callable[[Any], str]


@dataclass
class Section:
    """What a section says: its values by key, and the line of each."""

    line: int
    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    old: list[tuple[int, str, str]] = field(default_factory=list)  # line, path of the old key, what to write instead


def value(kind: Kind, *, null: bool = False) -> Reader:
    """One text of `kind`; with `null`, nothing at all too, which is read as None."""
    allowed = f"{kind.allowed}, or null" if null else kind.allowed

    def read(node: Node, key: str, problems: Problems) -> Any:
        _check(node, key)
        if not isinstance(node, Scalar):
            raise Wrong(node.line, key, f"{_what(node)} stands here", allowed)
        if node.is_null:
            if null:
                return None
            raise Wrong(node.line, key, "has no value", allowed)
        try:
            return kind.read(node.text)
        except NotAllowed as error:
            raise Wrong(node.line, key, error.problem, allowed) from error

    return Reader(read, lambda: of_value(kind, allowed, null=null))


def list_of(reader: Reader, what: str, *, unique: bool = False, some: bool = False) -> Reader:
    """A list as a tuple; nothing at all is an empty one. `what` says what its items are, `some` that there are any."""
    allowed = f"a list of {what}, like [a, b]"

    def read(node: Node, key: str, problems: Problems) -> tuple[Any, ...]:
        _check(node, key)
        empty = isinstance(node, Scalar) and node.is_null
        if not empty and not isinstance(node, Sequence):
            raise Wrong(node.line, key, f"{_what(node)} stands here", allowed)
        items: list[Any] = []
        seen: set[Any] = set()
        parts = node.items if isinstance(node, Sequence) else []
        if some and not parts:
            raise Wrong(node.line, key, "is empty", allowed)
        for index, item in enumerate(parts):
            try:
                found = reader(item, f"{key}[{index}]", problems)
            except Wrong as wrong:
                problems.note(wrong)
                continue
            if unique and found in seen:
                problems.add(item.line, f"{key}[{index}]", "stands in the list twice")
            elif unique:
                seen.add(found)
            items.append(found)
        return tuple(items)

    return Reader(read, lambda: of_list(reader, allowed, unique=unique, some=some))


def section(
    readers: Mapping[str, Reader], *, old: Mapping[str, Renamed] | None = None, required: tuple[str, ...] = ()
) -> Reader:
    """A section with known keys, as Section; nothing at all is an empty one."""
    renamed = old or {}

    def read(node: Node, key: str, problems: Problems) -> Section:
        found = Section(node.line)
        for name, line, child in _entries(node, key, problems, f"a section with the keys {', '.join(readers)}"):
            path = _path(key, name)
            today = renamed[name].key if name in renamed else name
            reader = renamed[name].reader if name in renamed else readers.get(name)
            try:
                if reader is None:
                    raise Wrong(line, path, f"unknown key{_nearest(name, readers)}", ", ".join(readers))
                if today in found.lines:
                    raise Wrong(line, path, f"`{today}` stands in line {found.lines[today]} already", f"`{today}` once")
                found.lines[today] = line
                found.values[today] = reader(child, path, problems)
            except Wrong as wrong:
                problems.note(wrong)
                continue
            if name in renamed:
                found.old.append((line, path, f"{today}: {renamed[name].write(found.values[today])}"))
        for name in required:
            if name not in found.lines:
                problems.add(node.line, f"{key}.{name}", "is missing")
        return found

    older = {name: (today.key, today.reader) for name, today in renamed.items()}
    return Reader(read, lambda: of_section(readers, older, required))


def table(names: Kind, reader: Reader) -> Reader:
    """A section with free names, as a Section; nothing at all is an empty one."""

    def read(node: Node, key: str, problems: Problems) -> Section:
        found = Section(node.line)
        for name, line, child in _entries(node, key, problems, f"a section whose keys are {names.allowed}"):
            path = _path(key, name)
            try:
                known = names.read(name)
                found.lines[known] = line
                found.values[known] = reader(child, path, problems)
            except NotAllowed as error:
                problems.add(line, path, error.problem, names.allowed)
            except Wrong as wrong:
                problems.note(wrong)
        return found

    return Reader(read, lambda: of_table(names, reader))


def matching(pattern: str, allowed: str) -> Kind:
    """Texts that match `pattern` as a whole."""
    compiled = re.compile(pattern)

    def read(text: str) -> str:
        if compiled.fullmatch(text) is None:
            raise NotAllowed(f"{show(text)} is not possible here", allowed)
        return text

    return Kind(read, allowed, {**TEXT, "pattern": f"^({pattern})$"})


def _entries(node: Node, key: str, problems: Problems, allowed: str) -> Iterator[tuple[str, int, Node]]:
    """Name, line and value of each entry; repeated keys and keys that are no text are noted and left out."""
    _check(node, key)
    if isinstance(node, Scalar) and node.is_null:
        return
    if not isinstance(node, MappingNode):
        raise Wrong(node.line, key, f"{_what(node)} stands here", allowed)
    seen: dict[str, int] = {}
    for name, child in node.entries:
        try:
            _check(name, key)
            if not isinstance(name, Scalar) or not name.text:
                raise Wrong(name.line, key, "a key is not a text", allowed)
        except Wrong as wrong:
            problems.note(wrong)
            continue
        if name.text in seen:
            problem = f"stands here again, first in line {seen[name.text]}"
            problems.add(name.line, _path(key, name.text), problem, "each key once")
            continue
        seen[name.text] = name.line
        yield name.text, name.line, child


def _path(key: str, name: str) -> str:
    readable = name if name.isprintable() and len(name) <= 80 else show(name)
    return f"{key}.{readable}" if key else readable


def _check(node: Node, key: str) -> None:
    if node.fault is not None:
        raise Wrong(node.line, key, node.fault)


def _what(node: Node) -> str:
    if isinstance(node, Scalar):
        return f"the text {show(node.text)}"
    return "a list" if isinstance(node, Sequence) else "a section"


def _nearest(name: str, known: Mapping[str, Reader]) -> str:
    """Return what an unknown key is: one of ds01-infra, or a typing error for a key that means the same; or nothing."""
    from ds01.policy.legacy.suggest import suggestion  # only where something is wrong

    return suggestion(name, known)
