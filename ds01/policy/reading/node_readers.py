"""Readers of nodes: a value, a list, a section with known keys, a table with free names.

A reader raises InvalidNode for its own node; problems further inside are added to `problems`, and left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from typing import Any, NamedTuple

from ds01.dataclass import dataclass
from ds01.policy.reading.nodes import Mapping as MappingNode
from ds01.policy.reading.nodes import Node, Scalar, Sequence
from ds01.policy.reading.problems import InvalidNode, ProblemList
from ds01.policy.reading.reader_schema import (
    TEXT_SCHEMA,
    NodeReader,
    ValueType,
    list_schema,
    section_schema,
    table_schema,
    value_schema,
)
from ds01.policy.units import InvalidValue, quote_text


class RenamedKey(NamedTuple):
    """A key of older installations: its current name, its reader, and its value in the current form."""

    key: str
    reader: NodeReader
    write: Callable[[Any], str]


@dataclass
class Section:
    """The content of a section: values by key, and the line of each."""

    line: int
    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    legacy_keys: list[tuple[int, str, str]] = field(
        default_factory=list
    )  # line, path of the old key, what to write instead


def scalar_reader(kind: ValueType, *, nullable: bool = False) -> NodeReader:
    """Return the reader of one value of `kind`; with `nullable`, null is allowed and read as None."""
    allowed = f"{kind.allowed}, or null" if nullable else kind.allowed

    def read(node: Node, key: str, problems: ProblemList) -> Any:
        _reject_fault(node, key)
        if not isinstance(node, Scalar):
            raise InvalidNode(node.line, key, f"found {_describe_node(node)}", allowed)
        if node.is_null:
            if nullable:
                return None
            raise InvalidNode(node.line, key, "has no value", allowed)
        try:
            return kind.read(node.text)
        except InvalidValue as error:
            raise InvalidNode(node.line, key, error.problem, allowed) from error

    return NodeReader(read, lambda: value_schema(kind, allowed, nullable=nullable))


def list_reader(reader: NodeReader, what: str, *, unique: bool = False, non_empty: bool = False) -> NodeReader:
    """Return the reader of a list of `what`, as a tuple; null is an empty list, unless `non_empty`."""
    allowed = f"a list of {what}, like [a, b]"

    def read(node: Node, key: str, problems: ProblemList) -> tuple[Any, ...]:
        _reject_fault(node, key)
        empty = isinstance(node, Scalar) and node.is_null
        if not empty and not isinstance(node, Sequence):
            raise InvalidNode(node.line, key, f"found {_describe_node(node)}", allowed)
        items: list[Any] = []
        seen: set[Any] = set()
        parts = node.items if isinstance(node, Sequence) else []
        if non_empty and not parts:
            raise InvalidNode(node.line, key, "is empty", allowed)
        for index, item in enumerate(parts):
            try:
                found = reader(item, f"{key}[{index}]", problems)
            except InvalidNode as wrong:
                problems.add_invalid(wrong)
                continue
            if unique and found in seen:
                problems.add(item.line, f"{key}[{index}]", "is in the list twice")
            elif unique:
                seen.add(found)
            items.append(found)
        return tuple(items)

    return NodeReader(read, lambda: list_schema(reader, allowed, unique=unique, non_empty=non_empty))


def section_reader(
    readers: Mapping[str, NodeReader], *, legacy: Mapping[str, RenamedKey] | None = None, required: tuple[str, ...] = ()
) -> NodeReader:
    """Return the reader of a section with known keys; null is an empty section."""
    renamed = legacy or {}

    def read(node: Node, key: str, problems: ProblemList) -> Section:
        found = Section(node.line)
        for name, line, child in _entries(node, key, problems, f"a section with the keys {', '.join(readers)}"):
            path = _path(key, name)
            current_name = renamed[name].key if name in renamed else name
            reader = renamed[name].reader if name in renamed else readers.get(name)
            try:
                if reader is None:
                    raise InvalidNode(line, path, f"unknown key{_suggestion(name, readers)}", ", ".join(readers))
                if current_name in found.lines:
                    raise InvalidNode(
                        line,
                        path,
                        f"`{current_name}` stands in line {found.lines[current_name]} already",
                        f"`{current_name}` once",
                    )
                found.lines[current_name] = line
                found.values[current_name] = reader(child, path, problems)
            except InvalidNode as wrong:
                problems.add_invalid(wrong)
                continue
            if name in renamed:
                found.legacy_keys.append(
                    (line, path, f"{current_name}: {renamed[name].write(found.values[current_name])}")
                )
        for name in required:
            if name not in found.lines:
                problems.add(node.line, f"{key}.{name}", "is missing")
        return found

    older = {name: (current_name.key, current_name.reader) for name, current_name in renamed.items()}
    return NodeReader(read, lambda: section_schema(readers, older, required))


def table_reader(names: ValueType, reader: NodeReader) -> NodeReader:
    """Return the reader of a section with free names; null is an empty section."""

    def read(node: Node, key: str, problems: ProblemList) -> Section:
        found = Section(node.line)
        for name, line, child in _entries(node, key, problems, f"a section whose keys are {names.allowed}"):
            path = _path(key, name)
            try:
                named_readers = names.read(name)
                found.lines[named_readers] = line
                found.values[named_readers] = reader(child, path, problems)
            except InvalidValue as error:
                problems.add(line, path, error.problem, names.allowed)
            except InvalidNode as wrong:
                problems.add_invalid(wrong)
        return found

    return NodeReader(read, lambda: table_schema(names, reader))


def pattern_type(pattern: str, allowed: str) -> ValueType:
    """Return the type of texts that match the whole `pattern`."""

    def read(text: str) -> str:
        if re.fullmatch(pattern, text) is None:  # compiled on first use
            raise InvalidValue(f"{quote_text(text)} is not allowed here", allowed)
        return text

    return ValueType(read, allowed, {**TEXT_SCHEMA, "pattern": f"^({pattern})$"})


def _entries(node: Node, key: str, problems: ProblemList, allowed: str) -> Iterator[tuple[str, int, Node]]:
    """Yield name, line and value of each entry; repeated and non-text keys are reported and left out."""
    _reject_fault(node, key)
    if isinstance(node, Scalar) and node.is_null:
        return
    if not isinstance(node, MappingNode):
        raise InvalidNode(node.line, key, f"found {_describe_node(node)}", allowed)
    seen: dict[str, int] = {}
    for name, child in node.entries:
        try:
            _reject_fault(name, key)
            if not isinstance(name, Scalar) or not name.text:
                raise InvalidNode(name.line, key, "a key is not a text", allowed)
        except InvalidNode as wrong:
            problems.add_invalid(wrong)
            continue
        if name.text in seen:
            problem = f"appears again; it is first in line {seen[name.text]}"
            problems.add(name.line, _path(key, name.text), problem, "each key once")
            continue
        seen[name.text] = name.line
        yield name.text, name.line, child


def _path(key: str, name: str) -> str:
    readable = name if name.isprintable() and len(name) <= 80 else quote_text(name)
    return f"{key}.{readable}" if key else readable


def _reject_fault(node: Node, key: str) -> None:
    if node.fault is not None:
        raise InvalidNode(node.line, key, node.fault)


def _describe_node(node: Node) -> str:
    if isinstance(node, Scalar):
        return f"the text {quote_text(node.text)}"
    return "a list" if isinstance(node, Sequence) else "a section"


def _suggestion(name: str, named_readers: Mapping[str, NodeReader]) -> str:
    """Return a hint on an unknown key: a key of ds01-infra, or a misspelling; or an empty string."""
    from ds01.policy.legacy.suggest import suggest_key  # only needed for errors

    return suggest_key(name, named_readers)
