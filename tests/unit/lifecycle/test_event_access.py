"""Reading events and logs through the gate: who may see what, also as JSON over a wire."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ds01.errors import Ds01Error, PermissionDenied, UsageError
from ds01.journal.events import EventLog
from tests.client import Client, WireClient
from tests.harness import Harness


@pytest.fixture
def log(harness: Harness) -> EventLog:
    (harness.state / "log").mkdir()
    return EventLog(harness.state / "log" / "events.jsonl", clock=harness.clock)


@pytest.fixture(params=[Client, WireClient])
def gate(request: pytest.FixtureRequest, harness: Harness, log: EventLog) -> Iterator[Client]:
    log.emit("pause", {"actor": "alice", "user": "alice", "container": "thesis._.70001"})
    log.emit("transition", {"actor": "boss", "user": "bob", "container": "other._.70002", "trigger": "stop"})
    log.emit("tick", {"actor": "tick", "acted": 1})
    yield request.param(harness.context)


def types(gate: Client, harness: Harness, login: str, **more: object) -> list[str]:
    return [event.type for event in gate.events(harness.actor(login), **more)]


def test_users_see_their_own_and_administrators_all(gate: Client, harness: Harness) -> None:
    assert types(gate, harness, "alice") == ["pause"]
    assert types(gate, harness, "bob") == ["transition"]
    assert types(gate, harness, "carol") == []
    assert types(gate, harness, "boss") == types(gate, harness, "root") == ["pause", "transition", "tick"]
    assert types(gate, harness, "boss", owner=70001) == ["pause"]
    assert types(gate, harness, "boss", owner=harness.people["boss"]) == ["transition"]


def test_events_of_others_are_refused(gate: Client, harness: Harness) -> None:
    for more in ({"owner": 70002}, {"all_users": True}):
        with pytest.raises(PermissionDenied):
            gate.events(harness.actor("alice"), **more)
    assert types(gate, harness, "alice", container="other._.70002") == []
    assert types(gate, harness, "boss", all_users=True) == ["pause", "transition", "tick"]


def test_a_type_that_does_not_exist_is_wrong_use(gate: Client, harness: Harness) -> None:
    assert types(gate, harness, "boss", types=("stop",)) == ["transition"]
    with pytest.raises(UsageError, match="stopp"):
        gate.events(harness.actor("boss"), types=("stopp",))


def test_what_is_followed_are_the_last_ones_and_then_new_ones(gate: Client, harness: Harness, log: EventLog) -> None:
    with closing(gate.follow_events(harness.actor("alice"), limit=1)) as steps:
        assert [event.type for event in next(steps).events] == ["pause"]
        assert next(steps).events == ()
        log.emit("unpause", {"actor": "bob", "user": "bob"})
        log.emit("unpause", {"actor": "alice", "user": "alice"})
        assert [(event.type, event.user) for event in next(steps).events] == [("unpause", "alice")]
    assert harness.slept == [0.5], "it does not ask all the time"


def test_following_others_is_refused(gate: Client, harness: Harness) -> None:
    with pytest.raises(PermissionDenied), closing(gate.follow_events(harness.actor("alice"), owner=70002)) as steps:
        next(steps)


def test_logs_are_for_administrators(gate: Client, harness: Harness) -> None:
    alice = harness.actor("alice")
    for ask in (lambda: gate.logs(alice), lambda: gate.log(alice, "events", 1)):
        with pytest.raises(PermissionDenied):
            ask()
    with pytest.raises(PermissionDenied), closing(gate.follow_log(alice, "events", 1)) as steps:
        next(steps)


def test_a_log_is_read_and_followed_line_by_line(gate: Client, harness: Harness) -> None:
    boss, path = harness.actor("boss"), harness.state / "log" / "tick.log"
    path.write_bytes(b"one\ntwo\nthr\xff\x1b[2Je\n")
    assert gate.log(boss, "tick", 2) == ("two", "thr\ufffd\x1b[2Je")
    with closing(gate.follow_log(boss, "tick", 0)) as steps:
        assert next(steps).lines == ()
        with path.open("a") as file:
            file.write("four\n")
        assert next(steps).lines == ("four",)


def test_the_list_of_logs_has_those_that_do_not_exist_too(gate: Client, harness: Harness) -> None:
    found = {view.name: view for view in gate.logs(harness.actor("boss"))}
    assert list(found) == ["tick", "allocations", "events"]
    assert found["tick"].changed_at is None and found["events"].bytes > 0


@pytest.mark.parametrize("name", ["", "../passwd", "tick.log"])
def test_other_files_are_no_logs(gate: Client, harness: Harness, name: str) -> None:
    with pytest.raises(UsageError):
        gate.log(harness.actor("boss"), name, 5)


def test_a_log_that_cannot_be_read_is_an_error_with_its_path(gate: Client, harness: Harness) -> None:
    path: Path = harness.state / "log" / "events.jsonl"
    path.unlink()
    path.symlink_to("/etc/passwd")
    for ask in (gate.events, lambda actor: gate.log(actor, "events", 1)):
        with pytest.raises(Ds01Error, match=r"events\.jsonl") as caught:
            ask(harness.actor("boss"))
        assert str(path) in (caught.value.why or "")
