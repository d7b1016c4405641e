"""The words for events: each type and trigger has some, and wrong values break none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ds01.journal.event_reader import Event, parse_event
from ds01.observe.event_texts import EVENT_WORDS, describe_event
from ds01.records.state_machine import Trigger
from tests.harness import NOON
from tests.json_page import read_page


def words(kind: str, *, actor: str | None = "alice", why: str | None = None, **more: Any) -> str:
    return describe_event(Event(NOON, kind, actor, "thesis._.70001", "alice", why, more))


def test_every_type_of_the_json_page_has_words() -> None:
    assert set(EVENT_WORDS) == set(read_page().events)


TRANSITIONS = [
    ({"trigger": "create", "gpus": ["0:1"]}, "created, with GPU 0:1"),
    ({"trigger": "create", "actor": "boss", "gpus": []}, "created by boss"),
    ({"trigger": "start", "actor": "observed", "gpus": []}, "started outside ds01"),
    ({"trigger": "stop", "to": "held", "gpus": ["0", "1"]}, "stopped; GPU 0, 1 is held"),
    ({"trigger": "stop", "to": "stopped", "gpus": ["0"], "actor": "tick", "why": "idle"},
     "stopped by ds01: it was idle"),
    ({"trigger": "stop", "to": "held", "gpus": ["0"], "actor": "observed", "why": "exited by itself, code 1"},
     "exited by itself, code 1; GPU 0 is held"),
    ({"trigger": "stop", "to": "stopped", "gpus": [], "actor": "observed", "why": "out of memory: limit 32g"},
     "ended: out of memory: limit 32g"),
    ({"trigger": "release", "gpus": ["0"], "actor": "tick", "why": "the hold is over"},
     "GPU 0 given back by ds01: the hold is over"),
    ({"trigger": "release", "gpus": ["0"], "why": "released"}, "GPU 0 given back"),
    ({"trigger": "remove", "gpus": []}, "removed"),
    ({"trigger": "vanish", "actor": "observed", "gpus": []}, "gone: removed outside ds01"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "text"), TRANSITIONS)
def test_transitions_say_who_and_why(fields: dict[str, Any], text: str) -> None:
    assert words("transition", **fields) == text


def test_every_trigger_is_among_these() -> None:
    assert {fields["trigger"] for fields, _ in TRANSITIONS} == {trigger.value for trigger in Trigger}


@pytest.mark.parametrize(
    ("kind", "fields", "text"),
    [
        ("warning", {"actor": "tick", "why": "idle", "deadline": "2026-12-01T12:00:00Z"},
         "warned: it is idle and will be stopped Tue 01 Dec"),
        ("refusal", {"why": "max_mig_instances"}, "refused: over the GPU quota (max_mig_instances)"),
        ("refusal", {"actor": "bob", "why": "only administrators may do this"},
         "refused bob: only administrators may do this"),
        ("lease", {"change": "held", "slot": "0:1", "why": "idle", "actor": "tick"},
         "GPU 0:1 held by ds01: it was idle"),
        ("wait", {"seconds": 5400.0, "outcome": "served"}, "waited 90m for a GPU; then got it"),
        ("extension", {"seconds": 5400.0, "until": None, "why": "last epoch"}, "extended by 90m: last epoch"),
        ("notice", {"delivered": False, "why": "idle"}, "a notice could not be delivered: idle"),
        ("conflict", {"holder": "big._.70002", "holder_user": "bob"}, "started outside ds01 on a GPU of bob (big)"),
        ("image", {"image": "ds01-70001/x", "what": "failed", "why": "no space"},
         "image ds01-70001/x could not be built: no space"),
        ("emergency_stop", {"actor": "boss", "containers": ["a._.1", "b._.2"], "failed": []},
         "emergency stop by boss of a, b"),
        ("tick", {"actor": "tick", "looked_at": 5, "acted": 1, "errors": 0},
         "a pass of the automation: 5 looked at, 1 acted"),
        ("something_new", {"actor": "tick", "why": "because"}, "something_new by ds01: because"),
    ],
)  # fmt: skip
def test_words_of_the_other_types(kind: str, fields: dict[str, Any], text: str) -> None:
    assert words(kind, **fields).startswith(text)


VALUES: list[Any] = [
    None,
    True,
    1,
    -(2**63),
    1e300,
    -0.5,
    "",
    "text",
    "2026-12-01T12:00:00Z",
    [],
    ["a._.1", 5, None],
    {},
    {"a": []},
]
KEYS = [
    "actor", "why", "user", "container", "trigger", "to", "gpus", "seconds", "until", "deadline", "delivered",
    "what", "image", "containers", "failed", "looked_at", "acted", "errors", "holder", "holder_user", "slice",
]  # fmt: skip


@given(st.sampled_from([*EVENT_WORDS, "new"]), st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES)))
def test_values_of_any_type_have_words(kind: str, fields: dict[str, Any]) -> None:
    line = json.dumps({"time": "2026-11-30T12:00:00Z", "type": kind, **fields})
    event = parse_event(line.encode())
    assert event is None or describe_event(event)
