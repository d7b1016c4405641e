"""Base classes of readers and value types, each with the JSON Schema of what it accepts.

A schema is built only when `ds01 policy schema` asks for it. `errorMessage` is what editors show for a wrong value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ds01.dataclass import dataclass
from ds01.policy.reading.nodes import Node
from ds01.policy.reading.problems import ProblemList

Schema = dict[str, Any]
# Editors type unquoted YAML: a login of digits is a number there, and a text here.
TEXT_SCHEMA: Mapping[str, Any] = {"type": ["string", "number", "boolean"]}


@dataclass(frozen=True)
class NodeReader:
    """A reader of nodes, and a function that returns the JSON Schema of what it accepts."""

    read: Callable[[Node, str, ProblemList], Any]
    schema: Callable[[], Schema]

    def __call__(self, node: Node, key: str, problems: ProblemList) -> Any:
        """Return the node's value. Raises InvalidNode."""
        return self.read(node, key, problems)


class ValueType(NamedTuple):
    """A type of text: its parser (raises InvalidValue), its description, and its JSON Schema."""

    read: Callable[[str], Any]
    allowed: str
    json: Mapping[str, Any] = TEXT_SCHEMA


def value_schema(kind: ValueType, allowed: str, *, nullable: bool) -> Schema:
    """Return the schema of one text."""
    schema = {**kind.json, "errorMessage": allowed}
    if nullable:
        types = schema["type"]
        schema["type"] = [*([types] if isinstance(types, str) else types), "null"]
        if "enum" in schema:
            schema["enum"] = [*schema["enum"], None]
    return schema


def list_schema(item: NodeReader, allowed: str, *, unique: bool, non_empty: bool) -> Schema:
    """Return the schema of a list."""
    limits: Schema = ({"uniqueItems": True} if unique else {}) | ({"minItems": 1} if non_empty else {})
    return {
        "type": "array" if non_empty else ["array", "null"],
        "items": item.schema(),
        "errorMessage": allowed,
    } | limits


def section_schema(
    readers: Mapping[str, NodeReader], old: Mapping[str, tuple[str, NodeReader]], required: tuple[str, ...]
) -> Schema:
    """Return the schema of a section with known keys. `old`: the keys of older installations, by today's key."""
    properties = {name: reader.schema() for name, reader in readers.items()}
    for name, (today, reader) in old.items():
        properties[name] = reader.schema() | {"deprecated": True, "description": f"Write `{today}`."}
    schema: Schema = {"type": ["object", "null"], "properties": properties, "additionalProperties": False}
    return schema | ({"type": "object", "required": list(required)} if required else {})


def table_schema(names: ValueType, reader: NodeReader) -> Schema:
    """Return the schema of a section with free names; names of keys are always texts."""
    allowed = {key: part for key, part in names.json.items() if key in ("pattern", "enum", "not")}
    return {"type": ["object", "null"], "propertyNames": allowed, "additionalProperties": reader.schema()}
