"""Build the JSON Schema of `resource-limits.yaml` from the readers, the model's defaults and a file of texts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta, timezone
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from ds01.dataclass import dataclass
from ds01.policy import units
from ds01.policy.model import Limits, Policy
from ds01.policy.reading.reader_schema import Schema
from ds01.policy.reading.schema import LIMITS, policy_reader
from ds01.system.settings import config_file

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TITLE = "The policy of a ds01 server"
LEVELS = ("defaults", "groups", "user_overrides")


@dataclass(frozen=True)
class KeyText:
    """The documentation of a key; `change` is what a changed value does on a running server."""

    title: str
    text: str
    example: str
    change: str
    unit: str | None = None


@cache
def key_texts() -> Mapping[str, KeyText]:
    """Return the texts of all keys by path, like `defaults.memory`, in the order of the manual."""
    texts = yaml.safe_load(config_file("policy-keys.yaml").read_text("utf-8"))
    return {path: KeyText(**text) for path, text in texts.items()}


def json_schema() -> Schema:
    """Return the schema of the whole file, in draft 2020-12."""
    schema = policy_reader(timezone.utc).schema()
    for level, path, name, part in keys(schema):
        part |= _annotations(path, part, texts=key_texts()[path])
        if level in LEVELS[1:] and name in LIMITS:
            part.pop("default", None)  # what a level leaves out comes from the more general level
    return {"$schema": DIALECT, "title": TITLE, **schema}


def keys(schema: Schema) -> Iterator[tuple[str, str, str, Schema]]:
    """Yield section, path, name and schema of each current key; a limit has the same path on every level."""
    for section, part in schema["properties"].items():
        yield section, section, section, part
        for path, name, inner in _inner(section, part):
            yield section, path, name, inner


def _inner(section: str, part: Schema) -> Iterator[tuple[str, str, Schema]]:
    holder = part.get("items") or part.get("additionalProperties") or part
    if "properties" not in holder:
        holder = part
    for name, inner in holder.get("properties", {}).items():
        if inner.get("deprecated"):
            continue
        path = f"{'defaults' if section in LEVELS and name in LIMITS else section}.{name}"
        yield path, name, inner
        for nested, deepest in inner.get("properties", {}).items():
            yield f"{path}.{nested}", nested, deepest


def _annotations(path: str, part: Schema, *, texts: KeyText) -> Schema:
    unit = f" Unit: {texts.unit}." if texts.unit else ""
    found: Schema = {
        "title": texts.title[0].upper() + texts.title[1:],
        "description": texts.text + unit,
        "examples": [_plain(texts.example)],
    }
    return found | default_of(path, part)


def default_of(path: str, part: Schema) -> Schema:
    """Return `{"default": …}` as the file would have it; empty for a key without a default."""
    holder: Any = Limits() if path.startswith("defaults.") else Policy(Path())
    for name in path.removeprefix("defaults.").split("."):
        if not hasattr(holder, name):
            return {}
        holder = getattr(holder, name)
    if path in LEVELS or path in ("reservations", "exemptions") or hasattr(holder, "__dataclass_fields__"):
        return {}  # sections: their keys have defaults
    return {"default": _written(holder, size=part.get("pattern") == units.SIZE_PATTERN)}


def _written(value: Any, *, size: bool) -> Any:
    if isinstance(value, Mapping):
        return {name: _written(inner, size=inner != -1) for name, inner in value.items()}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, timedelta):
        return units.format_duration(value)
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, int) and not isinstance(value, bool) and size:
        return units.format_size(value)
    return value


def _plain(text: str) -> Any:
    """Return an example with dates as strings, as YAML 1.2 reads them."""
    return json.loads(json.dumps(yaml.safe_load(text), default=str))
