"""docs/json.md as data: which command prints which document, and which keys of which type an object has."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ds01 import commands

PAGE = Path(__file__).parents[1] / "docs" / "json.md"
NOT_ALWAYS = " (not always)"
PLAIN: dict[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "bytes": (int,), "number": (int, float), "duration": (int, float),
    "boolean": (bool,), "object": (dict,),
}  # fmt: skip


@dataclass
class Page:
    """`objects`: the type of each key by object; `documents`: what a command may print; `seen`: keys that were met."""

    objects: dict[str, dict[str, str]]
    documents: dict[str, list[str]]
    events: dict[str, dict[str, str]]
    seen: set[tuple[str, str]] = field(default_factory=set)

    def check(self, value: Any, kind: str, place: str) -> None:
        """Fail if a value is not of a type of the page; objects are compared key by key."""
        if kind.startswith("map of "):
            assert isinstance(value, dict), (place, value)
            for name, inner in value.items():
                self.check(inner, kind.removeprefix("map of "), f"{place}.{name}")
        elif kind.startswith("list of "):
            assert isinstance(value, list), (place, value)
            for inner in value:
                self.check(inner, kind.removeprefix("list of "), f"{place}[]")
        elif kind.endswith(" or null"):
            if value is not None:
                self.check(value, kind.removesuffix(" or null"), place)
        elif kind == "Event":
            self.check_event(value)
        elif kind == "time":
            assert isinstance(value, str) and value.endswith("Z"), (place, value)
            datetime.fromisoformat(value.removesuffix("Z"))
        elif kind in PLAIN:
            assert isinstance(value, PLAIN[kind]) and isinstance(value, bool) == (kind == "boolean"), (place, value)
        else:
            self.check_keys(value, self.objects[kind], kind, place)

    def check_keys(self, value: Any, keys: Mapping[str, str], name: str, place: str) -> None:
        """Fail if an object has other keys than the page says, or values of other types."""
        assert isinstance(value, dict), (place, value)
        always = {key for key, kind in keys.items() if not kind.endswith(NOT_ALWAYS)}
        assert always <= set(value) <= set(keys), (place, set(value) ^ set(keys))
        for key, inner in value.items():
            self.seen.add((name, key))
            self.check(inner, keys[key].removesuffix(NOT_ALWAYS), f"{place}.{key}")

    def check_document(self, words: str, document: Any) -> None:
        """Fail if no row of a command fits a document: the one with the same keys is compared."""
        fitting = [it for it in self.documents[words] if self._keys(it) is None or self._keys(it) == set(document)]
        assert len(fitting) == 1, (words, set(document))
        (wanted,) = fitting
        if not wanted.startswith("{"):
            self.check(document, wanted, words)
            return
        for key, kind in members(wanted).items():
            self.check(document[key], kind, f"{words}.{key}")

    def check_event(self, event: Mapping[str, Any]) -> None:
        """Fail if an event has a type or a key that is not on the page."""
        assert event["type"] in self.events, event
        self.check_keys(event, self.objects["events.jsonl"] | self.events[event["type"]], event["type"], event["type"])

    def _keys(self, document: str) -> set[str] | None:
        if document == "object":
            return None
        return set(members(document) if document.startswith("{") else self.objects[document])


def members(document: str) -> dict[str, str]:
    """Return the keys of `{"a": [X], "b": Y}` with their types."""
    found = re.findall(r'"(\w+)": (\[?)([^,\]}]+)', document)
    return {key: f"list of {kind}" if listed else kind for key, listed, kind in found}


def read_page() -> Page:
    """Return what the page says."""
    text = PAGE.read_text("utf-8")
    objects: dict[str, dict[str, str]] = {}
    for title, body in re.findall(r"^### (\S+)\n(.*?)(?=^##|\Z)", text, re.DOTALL | re.MULTILINE):
        objects[title] = dict(re.findall(r"^\| `(\w+)` \| ([a-zA-Z ]+?) \|", body, re.MULTILINE))
    documents: dict[str, list[str]] = {}
    for names, document in re.findall(r"^\| (`[^|]+`) \| `([^|`]+)` \|$", text, re.MULTILINE):
        for name in re.findall(r"`([^`]+)`", names):
            words, _ = commands.split_command("ds01", name.removeprefix("ds01 ").split())
            documents.setdefault(words, []).append(document)
    events: dict[str, dict[str, str]] = {}
    table = text.partition("| type | more keys |")[2]
    for names, keys in re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| ([^|]+) \|", table, re.MULTILINE):
        for name in re.findall(r"`(\w+)`", names):
            events[name] = dict(re.findall(r"`(\w+)` ([^;]+)", keys))
    return Page(objects, documents, events)
