"""Readers and kinds with the JSON Schema of what they accept.

A schema is built only when `ds01 policy schema` asks for it. `errorMessage` is what editors show for a wrong value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ds01.policy.reading.nodes import Node
from ds01.policy.reading.problems import Problems

Schema = dict[str, Any]
# YAML types what is not in quotes: a login of digits is a number for an editor, and a text here.
TEXT: Mapping[str, Any] = {"type": ["string", "number", "boolean"]}


@dataclass(frozen=True)
class Reader:
    """A reader of nodes, and a function that returns what it accepts as JSON Schema."""

    read: Callable[[Node, str, Problems], Any]
    schema: Callable[[], Schema]

    def __call__(self, node: Node, key: str, problems: Problems) -> Any:
        """Return what the node says. Raises Wrong."""
        return self.read(node, key, problems)


class Kind(NamedTuple):
    """What a text may be: how it is read (raises NotAllowed), that in words, and as JSON Schema."""

    read: Callable[[str], Any]
    allowed: str
    json: Mapping[str, Any] = TEXT


def of_value(kind: Kind, allowed: str, *, null: bool) -> Schema:
    """Return the schema of one text."""
    schema = {**kind.json, "errorMessage": allowed}
    if null:
        types = schema["type"]
        schema["type"] = [*([types] if isinstance(types, str) else types), "null"]
        if "enum" in schema:
            schema["enum"] = [*schema["enum"], None]
    return schema


def of_list(item: Reader, allowed: str, *, unique: bool, some: bool) -> Schema:
    """Return the schema of a list."""
    limits: Schema = ({"uniqueItems": True} if unique else {}) | ({"minItems": 1} if some else {})
    return {"type": "array" if some else ["array", "null"], "items": item.schema(), "errorMessage": allowed} | limits


def of_section(
    readers: Mapping[str, Reader], old: Mapping[str, tuple[str, Reader]], required: tuple[str, ...]
) -> Schema:
    """Return the schema of a section with known keys. `old`: the keys of older installations, by today's key."""
    properties = {name: reader.schema() for name, reader in readers.items()}
    for name, (today, reader) in old.items():
        properties[name] = reader.schema() | {"deprecated": True, "description": f"Write `{today}`."}
    schema: Schema = {"type": ["object", "null"], "properties": properties, "additionalProperties": False}
    return schema | ({"type": "object", "required": list(required)} if required else {})


def of_table(names: Kind, reader: Reader) -> Schema:
    """Return the schema of a section with free names; names of keys are always texts."""
    allowed = {key: part for key, part in names.json.items() if key in ("pattern", "enum", "not")}
    return {"type": ["object", "null"], "propertyNames": allowed, "additionalProperties": reader.schema()}
