"""docs/json.md has every key that the commands print, with its type, and no other."""

from __future__ import annotations

import os
import re
from typing import Any

import pytest

from ds01 import commands
from ds01.main import load_command
from tests.command_line import CommandLine
from tests.json_outputs import collect
from tests.json_page import PAGE, read_page


@pytest.mark.in_process("puts another systemd inside")
@pytest.mark.skipif(os.geteuid() != 0, reason="makes the workspaces of people who are played, which only root can")
def test_page_and_output_have_the_same_keys(ds: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    page = read_page()
    printed = collect(ds, monkeypatch)
    events = printed.pop("events.jsonl")
    for document in printed.pop("errors"):
        page.check(document["error"], "Error", "error")
        page.check((document["error"]["data"] or {}).get("refusal"), "Refusal or null", "refusal")
    page.check(printed.pop("tick.json")[0], "tick.json", "tick.json")
    for event in events:
        page.check_event(event)
    for words, documents in printed.items():
        for document in documents:
            page.check_document(words, document)
    with_json = {words for words in commands.COMMANDS if any("--json" in it.opts for it in load_command(words).params)}
    assert set(printed) == set(page.documents) == with_json
    assert {event["type"] for event in events} == set(page.events)
    on_the_page = {(name, key) for name, keys in page.objects.items() for key in keys if name != "events.jsonl"}
    on_the_page |= {(name, key) for name, keys in page.events.items() for key in keys}
    assert on_the_page - page.seen == set()


def test_every_event_of_the_source_is_on_the_page() -> None:
    source = "".join(path.read_text("utf-8") for path in (PAGE.parents[1] / "ds01").rglob("*.py"))
    named = set(re.findall(r"""emit\(\s*"([a-z_]+)",""", source))
    assert len(named) > 10 and named - {"built", "failed"} <= set(read_page().events)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({"at": "2026-11-30T12:00:00Z"}, "Deadline"),
        ({"at": "2026-11-30T12:00:00Z", "because": "idle", "more": 1}, "Deadline"),
        ({"at": "2026-11-30T12:00:00Z", "because": None}, "Deadline"),
        ({"at": "2026-11-30 12:00", "because": "idle"}, "Deadline"),
        (True, "integer"),
        ("1", "bytes or null"),
        ([1], "list of string"),
        ({"a": 1}, "map of string"),
    ],
)
def test_what_differs_from_the_page_is_found(value: Any, kind: str) -> None:
    with pytest.raises((AssertionError, ValueError)):
        read_page().check(value, kind, "here")
