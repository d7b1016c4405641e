"""Promises for a stopped container also hold for its replacement; and deadlines that are not known yet."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ds01.errors import EngineRejected, NoCapacity
from ds01.records.state_machine import State
from tests import invariants
from tests.actions import ALICE_THESIS, create_container, refusal_in
from tests.harness import Harness
from tests.tick_harness import TickHarness


@pytest.fixture
def held(harness: Harness) -> Harness:
    create_container(harness, "alice", start=True)
    harness.clock.advance(hours=1)
    harness.gate.stop(harness.actor("alice"), ALICE_THESIS, keep=True)
    harness.clock.advance(hours=1)
    return harness


def test_the_hold_and_keep_outlive_a_replacement(held: Harness, gate: Any) -> None:
    before = held.record("alice")
    gate.remake(held.actor("alice"), ALICE_THESIS)
    after = held.record("alice")
    assert after.id != before.id and after.keep
    assert (after.slots, after.held_until, after.stopped_at) == (before.slots, before.held_until, before.stopped_at)
    (view,) = gate.containers(held.actor("alice"))
    assert view.deadline is not None and view.deadline.at == before.held_until
    invariants.check_settled(held)


def test_the_hold_outlives_a_second_replacement(held: Harness, gate: Any) -> None:
    before = held.record("alice")
    gate.remake(held.actor("alice"), ALICE_THESIS)
    gate.remake(held.actor("alice"), ALICE_THESIS)
    after = held.record("alice")
    assert (after.held_until, after.stopped_at, after.keep) == (before.held_until, before.stopped_at, True)
    TickHarness(held).tick(hours=22)
    assert held.record("alice").slots == ("1:0",)


def test_one_that_never_ran_has_no_hold_to_hand_on(harness: Harness) -> None:
    create_container(harness, "alice")
    harness.gate.remake(harness.actor("alice"), ALICE_THESIS)
    after = harness.record("alice")
    assert (after.held_until, after.stopped_at) == (None, None)


def test_the_gpu_is_released_when_the_hold_would_have_ended(held: Harness) -> None:
    held.gate.remake(held.actor("alice"), ALICE_THESIS)
    ticker = TickHarness(held)
    ticker.tick(hours=22)
    assert held.record("alice").slots == ("1:0",)
    ticker.tick(hours=2)
    record = held.record("alice")
    assert (record.state, record.lease, record.keep) == (State.STOPPED, None, True)


def test_late_replacement_has_the_created_timeout(held: Harness) -> None:
    held.clock.advance(hours=22, minutes=55)
    held.gate.remake(held.actor("alice"), ALICE_THESIS)
    ticker = TickHarness(held)
    ticker.tick(minutes=10)
    assert held.record("alice").slots == ("1:0",)
    ticker.tick(minutes=25)
    assert held.record("alice").lease is None


def test_a_start_of_the_replacement_that_fails_ends_no_hold(held: Harness) -> None:
    before = held.record("alice").held_until

    class Failing(type(held.engine)):  # type: ignore[misc]
        def start(self, reference: str) -> None:
            raise EngineRejected("no")

    gate = held.another_gate(engine=Failing(held.engine.store.path, clock=held.clock))
    with pytest.raises(EngineRejected):
        gate.start(held.actor("alice"), ALICE_THESIS, recreate=True)
    record = held.record("alice")
    assert (record.state, record.held_until, record.keep) == (State.CREATED, before, True)
    TickHarness(held).tick(hours=3)
    assert held.record("alice").slots == ("1:0",)


def test_a_start_ends_the_hold_as_always(held: Harness) -> None:
    held.gate.start(held.actor("alice"), ALICE_THESIS, recreate=True)
    record = held.record("alice")
    assert (record.state, record.held_until, record.stopped_at, record.keep) == (State.RUNNING, None, None, True)


@pytest.mark.parametrize("call", ["create", "start"])
def test_lease_end_is_unknown_during_a_start(harness: Harness, call: str) -> None:
    told = []

    def ask() -> None:
        with pytest.raises(NoCapacity) as error:
            create_container(harness, "boss", name="big", gpus=1)
        told.append(refusal_in(error))

    class Asking(type(harness.engine)):  # type: ignore[misc]
        def create(self, spec: Any) -> Any:
            made = super().create(spec)
            if call == "create":
                ask()
            return made

        def start(self, reference: str) -> None:
            if call == "start":
                ask()
            super().start(reference)

    for name in ("a", "b", "c"):
        create_container(harness, "bob" if name == "a" else "carol", name=name, start=True)
    gate = harness.another_gate(engine=Asking(harness.engine.store.path, clock=harness.clock))
    gate.create(harness.actor("alice"), harness.request("alice"))
    gate.start(harness.actor("alice"), ALICE_THESIS)
    (found,) = told
    assert found.earliest is None
    assert all(claim.until is None for claim in found.claims if claim.container == ALICE_THESIS)


def test_one_that_waits_to_be_started_has_its_time(harness: Harness) -> None:
    create_container(harness, "alice")
    for name in ("a", "b", "c"):
        create_container(harness, "bob" if name == "a" else "carol", name=name, start=True)
    with pytest.raises(NoCapacity) as error:
        create_container(harness, "boss", name="big", gpus=1)
    assert refusal_in(error).earliest == harness.clock() + timedelta(minutes=30)
