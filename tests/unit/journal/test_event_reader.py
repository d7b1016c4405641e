"""Finding events: whose, of which container and type, and when; whatever else is in the file."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ds01.journal import event_reader as reading
from ds01.journal.event_reader import Event, EventFilter, Person, event_reader, parse_event
from ds01.journal.log_files import LastLines, read_last
from ds01.system.data import format_time
from tests.harness import NOON

ALICE = Person("alice", 70001)


def line(at: datetime = NOON, kind: str = "pause", **fields: Any) -> str:
    common = {"actor": "alice", "container": "thesis._.70001", "user": "alice", "why": None}
    return json.dumps({"time": format_time(at), "type": kind, **common, **fields}) + "\n"


def found(path: Path, limit: int | None = None, **wanted: Any) -> list[Event]:
    chosen = EventFilter(**wanted)
    return read_last(path, LastLines(event_reader(chosen), limit, chosen.since))


def kinds(path: Path, **wanted: Any) -> list[str]:
    return [event.type for event in found(path, **wanted)]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def test_an_event_keeps_the_keys_of_its_type(log: Path) -> None:
    log.write_text(line(kind="warning", actor="tick", why="idle", deadline="2026-12-01T00:00:00Z"))
    (event,) = found(log)
    assert event == Event(
        NOON, "warning", "tick", "thesis._.70001", "alice", "idle", {"deadline": "2026-12-01T00:00:00Z"}
    )


@pytest.mark.parametrize(
    "wrong",
    ["", "{", "[]", "null", '{"type": "x"}', '{"time": "soon", "type": "x"}', '{"time": "2026-11-30T12:00:00Z"}',
     '{"time": "2026-11-30T12:00:00Z", "type": 3}', "[" * 100_000, '{"time": 1e999}', "\x00\xff"],
)  # fmt: skip
def test_what_is_no_event_is_left_out(log: Path, wrong: str) -> None:
    log.write_text(line(kind="first") + wrong + "\n" + line(kind="last"))
    assert kinds(log) == ["first", "last"]


def test_names_of_another_type_are_unknown() -> None:
    event = parse_event(line(user=5, container=["x"], actor={}, why=True).encode())
    assert event is not None and (event.user, event.container, event.actor, event.why) == (None,) * 4


def test_a_persons_events_are_those_of_owner_and_actor(log: Path) -> None:
    log.write_text(
        line(kind="own")
        + line(kind="acted", user="bob", container="other._.70002")
        + line(kind="by_uid", user="alice@uni", actor="tick")
        + line(kind="foreign", user="bob", actor="bob", container="thesis._.70002")
        + line(kind="named_in_why", user="bob", actor="bob", container=None, why='"alice"')
        + line(kind="longer", user="bob", actor="bob", container="x._.170001")
    )
    assert kinds(log, person=ALICE) == ["own", "acted", "by_uid"]


def test_a_login_with_special_letters_is_found(log: Path) -> None:
    login = 'ä"\\b'
    document = {"time": "2026-11-30T12:00:00Z", "type": "x", "user": login}
    log.write_text(json.dumps(document, ensure_ascii=False) + "\n")
    assert kinds(log, person=Person(login, 5)) == ["x"]


@pytest.mark.parametrize("reference", ["thesis", "thesis._.70001", "Thesis"])
def test_a_container_is_named_as_elsewhere(log: Path, reference: str) -> None:
    log.write_text(line(kind="mine") + line(kind="other", container="thesis2._.70001") + line(container=None))
    assert kinds(log, container=reference) == ["mine"]


def test_a_type_is_that_of_the_event_or_a_trigger(log: Path) -> None:
    log.write_text(line(kind="transition", trigger="stop") + line(kind="transition", trigger="start") + line())
    assert len(found(log, types=frozenset({"stop"}))) == 1
    assert len(found(log, types=frozenset({"transition"}))) == 2
    assert kinds(log, types=frozenset({"pause", "start"})) == ["transition", "pause"]


def test_a_period_has_its_beginning_but_not_its_end(log: Path) -> None:
    hour = timedelta(hours=1)
    log.write_text("".join(line(NOON + number * hour, str(number)) for number in range(5)))
    assert kinds(log, since=NOON + hour, until=NOON + 3 * hour) == ["1", "2"]


def test_a_clock_that_was_wrong_for_a_while_hides_nothing(log: Path) -> None:
    wrong = line(NOON - timedelta(days=9000), "wrong") * (reading.OLD_LINES - 1)
    log.write_text(line(kind="first") + wrong + line(kind="last"))
    assert kinds(log, since=NOON) == ["first", "last"]


def test_reading_stops_well_before_the_period(log: Path) -> None:
    old = line(NOON - timedelta(days=9), "old")
    log.write_text(line(kind="unseen") + old * reading.OLD_LINES + line(kind="last"))
    assert kinds(log, since=NOON) == ["last"]
