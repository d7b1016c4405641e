"""Which transitions of a commit become events: those that were added, and no others."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from ds01.policy.model import Limits
from ds01.records.clock_corrections import correct_future_times
from ds01.records.record import Record, apply_transition
from ds01.records.state_machine import Trigger
from ds01.records.store.events import transition_events
from tests.harness import NOON, Harness


def after(record: Record, *triggers: str, seconds: float = 0) -> Record:
    for trigger in triggers:
        now = max(NOON, record.last_change) + timedelta(seconds=seconds)
        record = apply_transition(record, Trigger(trigger), actor="alice", at=now, holds=True)
    return record


def events(before: Record | None, record: Record) -> list[str]:
    return [str(event["trigger"].value) for event in transition_events(before, record)]


def test_a_clock_that_stands_still_hides_no_transition(harness: Harness) -> None:
    harness.gate.create(harness.actor("alice"), harness.request("alice"))
    record = harness.record("alice")
    for trigger in ("start", "stop", "start", "stop", "start", "stop"):
        changed = after(record, trigger)
        assert events(record, changed) == [trigger]
        record = changed


def test_two_transitions_of_one_commit_are_two_events(harness: Harness) -> None:
    harness.gate.create(harness.actor("alice"), harness.request("alice"))
    record = after(harness.record("alice"), "start")
    assert events(record, after(record, "stop", "start", seconds=5)) == ["stop", "start"]


def test_a_full_history_that_loses_its_oldest_entry_adds_one_event(harness: Harness) -> None:
    harness.gate.create(harness.actor("alice"), harness.request("alice"))
    record = after(harness.record("alice"), *["start", "stop"] * 40, seconds=1)
    assert events(record, after(record, "start", seconds=1)) == ["start"]


def test_corrected_times_are_no_transitions(harness: Harness) -> None:
    harness.gate.create(harness.actor("alice"), harness.request("alice"))
    record = after(harness.record("alice"), "start", "stop", seconds=7200)
    corrected = correct_future_times(record, Limits(), NOON)
    assert corrected.history != record.history
    assert events(record, corrected) == []


def test_a_new_record_is_all_events_and_one_of_another_container_too(harness: Harness) -> None:
    harness.gate.create(harness.actor("alice"), harness.request("alice"))
    record = harness.record("alice")
    assert events(None, record) == ["create"]
    assert events(replace(record, id="another"), record) == ["create"]


def test_a_rebuilt_record_is_a_repair_and_no_transition(harness: Harness) -> None:
    harness.gate.create(harness.actor("alice"), harness.request("alice"))
    harness.gate.start(harness.actor("alice"), harness.full("alice"))
    harness.record_file("alice").unlink()
    harness.events.clear()
    harness.another_gate().containers(harness.actor("alice"))
    assert [kind for kind in harness.kinds() if kind != "lease"] == ["repair"]
