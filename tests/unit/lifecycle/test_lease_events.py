"""The lease events of a commit: together they give the times at which slots are leased, as the records have them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from ds01.engines.protocol import Devices
from ds01.gpus.model import GpuRequest
from ds01.gpus.simulated import parse_inventory
from ds01.policy.model import Limits
from ds01.records.clock_corrections import correct_future_times
from ds01.records.record import Record, apply_transition
from ds01.records.state_machine import Trigger
from ds01.records.store.lease_events import lease_events
from ds01.system.data import format_time
from tests.actions import create_container
from tests.aime_containers import create as create_with_aime
from tests.client import Client
from tests.harness import NOON, Harness

THESIS = "thesis._.70001"


def leases(harness: Harness) -> list[tuple[str, str, str]]:
    """Return change, slot and time of the lease events since the last call."""
    found = [
        (event["change"], event["slot"], event["at"].partition("T")[2])
        for kind, event in harness.events
        if kind == "lease"
    ]
    harness.events.clear()
    return found


def test_a_life_is_told_with_the_times_of_the_record(harness: Harness) -> None:
    gate, alice = harness.gate, harness.actor("alice")
    gate.create(alice, harness.request("alice", gpus=2))
    assert leases(harness) == [("allocated", "1:0", "12:00:00Z"), ("allocated", "1:1", "12:00:00Z")]
    harness.clock.advance(minutes=1)
    gate.start(alice, THESIS)
    assert leases(harness) == []
    harness.clock.advance(minutes=1)
    gate.stop(alice, THESIS)
    assert leases(harness) == [("held", "1:0", "12:02:00Z"), ("held", "1:1", "12:02:00Z")]
    harness.clock.advance(minutes=1)
    gate.start(alice, THESIS)
    assert leases(harness) == [("resumed", "1:0", "12:03:00Z"), ("resumed", "1:1", "12:03:00Z")]
    harness.clock.advance(minutes=1)
    gate.stop(alice, THESIS, release=True)
    assert leases(harness) == [("released", "1:0", "12:04:00Z"), ("released", "1:1", "12:04:00Z")]
    harness.clock.advance(minutes=1)
    gate.start(alice, THESIS)
    assert leases(harness) == [("allocated", "1:0", "12:05:00Z"), ("allocated", "1:1", "12:05:00Z")]


def test_an_event_says_whose_lease_it_is(harness: Harness) -> None:
    harness.gate.create(harness.actor("alice"), harness.request("alice", gpus=1, project="wind"))
    (event,) = [event for kind, event in harness.events if kind == "lease"]
    record = harness.record("alice")
    assert event == {
        "actor": "alice", "container": THESIS, "user": "alice", "why": "create", "change": "allocated", "slot": "1:0",
        "uuid": harness.uuid["1:0"], "gpu_uuid": event["gpu_uuid"], "kind": "mig", "profile": "2g.10gb",
        "id": record.id, "since": format_time(NOON), "at": format_time(NOON), "uid": 70001, "group": "default",
        "project": "wind", "image": "pytorch/pytorch", "rebuilt": False, "corrected": False,
    }  # fmt: skip


def test_a_container_without_a_gpu_tells_nothing(harness: Harness) -> None:
    harness.gate.create(harness.actor("alice"), harness.request("alice", gpus=0))
    assert leases(harness) == []


def test_the_end_of_a_container_outside_ds01_has_dockers_time(harness: Harness) -> None:
    create_container(harness, "alice", start=True)
    leases(harness)
    harness.clock.advance(hours=1)
    harness.engine.kill(THESIS)
    harness.clock.advance(hours=1)
    harness.gate.reconcile(harness.actor("alice"))
    assert leases(harness) == [("held", "1:0", "13:00:00Z")]
    harness.engine.remove_by_force(THESIS)
    harness.clock.advance(hours=1)
    harness.gate.reconcile(harness.actor("alice"))
    assert leases(harness) == [("released", "1:0", "15:00:00Z")]


def test_a_restart_outside_ds01_without_a_hold_ends_the_lease_and_begins_another(harness: Harness) -> None:
    harness.set_policy("defaults: {gpu_hold_after_stop: 0s}\n")
    create_container(harness, "alice", start=True)
    leases(harness)
    harness.clock.advance(hours=1)
    harness.engine.kill(THESIS)
    harness.clock.advance(hours=1)
    harness.engine.start(THESIS)
    harness.clock.advance(hours=1)
    harness.gate.start(harness.actor("alice"), THESIS)  # finds that it runs again
    assert leases(harness) == [("released", "1:0", "13:00:00Z"), ("allocated", "1:0", "14:00:00Z")]


def test_a_manual_lease(harness: Harness) -> None:
    harness.gate.allocate(harness.actor("boss"), 70001, "hand", GpuRequest(1))
    harness.clock.advance(hours=1)
    harness.gate.release(harness.actor("boss"), "hand._.70001")
    assert leases(harness) == [("allocated", "1:0", "12:00:00Z"), ("released", "1:0", "13:00:00Z")]


def test_an_adopted_container(harness: Harness) -> None:
    create_with_aime(harness, devices=Devices(("0",), form="device_request"), start=True)
    harness.clock.advance(hours=1)
    harness.gate.adopt(harness.actor("alice"), "theirs._.70001")
    assert leases(harness) == [("allocated", "0", "13:00:00Z")]


def test_a_replacement_gets_its_slots_when_the_old_container_is_gone(harness: Harness) -> None:
    gate, alice = harness.gate, harness.actor("alice")
    create_container(harness, "alice", start=True)
    gate.stop(alice, THESIS)
    old = harness.record("alice").id
    harness.events.clear()
    harness.clock.advance(hours=1)
    gate.start(alice, THESIS, recreate=True)
    told = [(event["change"], event["id"] == old) for kind, event in harness.events if kind == "lease"]
    assert told[-2:] == [("released", True), ("allocated", False)]
    assert open_leases(harness.events) == {(harness.record("alice").id, harness.uuid["1:0"])}


def test_a_renamed_slot_is_the_same_lease(harness: Harness) -> None:
    create_container(harness, "alice", start=True)
    leases(harness)
    observation = harness.inventory.observe()
    names = {"1:0": "1:2", "1:2": "1:0"}
    slots = tuple(replace(slot, slot=names.get(slot.slot, slot.slot)) for slot in observation.slots)
    harness.inventory = replace(parse_inventory("none"), observation=replace(observation, slots=slots))
    harness.gate.gpus(harness.actor("alice"))
    assert harness.record("alice").slots == ("1:2",)
    assert leases(harness) == []
    harness.gate.stop(harness.actor("alice"), THESIS, release=True)
    assert leases(harness) == [("released", "1:2", "12:00:00Z")]


def test_a_rebuilt_record_tells_its_lease(harness: Harness) -> None:
    create_container(harness, "alice", start=True)
    leases(harness)
    harness.record_file("alice").unlink()
    harness.clock.advance(hours=1)
    harness.another_gate().containers(harness.actor("alice"))
    events = [event for kind, event in harness.events if kind == "lease"]
    assert [(event["change"], event["rebuilt"]) for event in events] == [("allocated", True), ("resumed", True)]
    assert leases(harness) == [("allocated", "1:0", "12:00:00Z"), ("resumed", "1:0", "12:00:00Z")]


def test_a_rebuilt_record_whose_hold_is_over_tells_the_end(harness: Harness) -> None:
    create_container(harness, "alice", start=True)
    leases(harness)
    harness.clock.advance(hours=1)
    harness.engine.kill(THESIS)
    harness.record_file("alice").unlink()
    harness.clock.advance(days=3)
    harness.another_gate().containers(harness.actor("alice"))
    assert [change for change, _, _ in leases(harness)] == ["allocated", "held", "released"]


def test_a_rebuilt_record_without_its_slot_releases_what_it_had(harness: Harness) -> None:
    harness.set_policy("defaults: {gpu_hold_after_stop: 0s}\n")
    create_container(harness, "alice", start=True)
    leases(harness)
    harness.clock.advance(hours=1)
    harness.engine.kill(THESIS)
    harness.record_file("alice").unlink()
    harness.clock.advance(hours=1)
    harness.another_gate().containers(harness.actor("alice"))
    assert leases(harness) == [("released", "1:0", "13:00:00Z")]


def test_corrected_times_tell_the_lease_again(harness: Harness) -> None:
    create_container(harness, "alice", start=True)
    record = held(harness.record("alice"), hours=5)
    corrected = correct_future_times(record, Limits(), NOON + timedelta(hours=1))
    assert told(record, corrected) == [("allocated", NOON), ("held", NOON + timedelta(hours=1))]


def test_the_corrected_end_of_a_lease_is_told_again(harness: Harness) -> None:
    create_container(harness, "alice", start=True)
    record = held(harness.record("alice"), hours=5)
    record = apply_transition(record, Trigger.RELEASE, actor="alice", at=record.last_change)
    corrected = correct_future_times(record, Limits(), NOON + timedelta(hours=1))
    assert told(record, corrected) == [("released", NOON + timedelta(hours=1))]


def test_a_commit_that_leaves_the_lease_alone_tells_nothing(harness: Harness) -> None:
    create_container(harness, "alice", start=True)
    record = harness.record("alice")
    assert told(record, replace(record, activity={"last": "x"})) == []


def held(record: Record, *, hours: float) -> Record:
    at = NOON + timedelta(hours=hours)
    return apply_transition(record, Trigger.STOP, actor="alice", at=at, holds=True)


def told(before: Record, after: Record) -> list[tuple[str, Any]]:
    return [(event["change"].value, event["at"]) for event in lease_events(before, after, NOON)]


def open_leases(events: list[tuple[str, Any]]) -> set[tuple[str, str]]:
    leased: set[tuple[str, str]] = set()
    for kind, event in events:
        if kind == "lease":
            key = (event["id"], event["uuid"])
            leased = leased - {key} if event["change"] == "released" else leased | {key}
    return leased


def test_a_wait_tells_how_long_it_was_and_how_it_ended(harness: Harness) -> None:
    for login, count in (("bob", 2), ("carol", 1), ("boss", 1)):
        create_container(harness, login, name="all", gpus=count)
    context = harness.make_context()
    steps = Client(context).wait(harness.actor("alice"), harness.request("alice", gpus=1), longest=timedelta(days=1))
    next(steps)
    harness.clock.advance(minutes=30)
    harness.gate.remove(harness.actor("bob"), harness.full("bob", "all"))
    assert [step.acted is not None for step in steps] == [True]
    (event,) = [event for kind, event in harness.events if kind == "wait"]
    assert (event["seconds"], event["outcome"], event["user"], event["uid"]) == (1800, "served", "alice", 70001)


def test_who_is_served_at_once_did_not_wait(harness: Harness) -> None:
    list(harness.gate.wait(harness.actor("alice"), harness.request("alice", gpus=1)))
    assert "wait" not in harness.kinds()
