"""What an owner was promised for a stopped container holds for the one that replaces it; and what is not known yet."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ds01.errors import EngineRejected, NoCapacity
from ds01.records.machine import State
from tests import legal
from tests.acts import ALICE, fill, refusal
from tests.bed import Bed
from tests.ticking import Ticking


@pytest.fixture
def held(bed: Bed) -> Bed:
    fill(bed, "alice", start=True)
    bed.clock.advance(hours=1)
    bed.gate.stop(bed.actor("alice"), ALICE, keep=True)
    bed.clock.advance(hours=1)
    return bed


def test_the_hold_and_keep_outlive_a_replacement(held: Bed, gate: Any) -> None:
    before = held.record("alice")
    gate.remake(held.actor("alice"), ALICE)
    after = held.record("alice")
    assert after.id != before.id and after.keep
    assert (after.slots, after.held_until, after.stopped_at) == (before.slots, before.held_until, before.stopped_at)
    (view,) = gate.containers(held.actor("alice"))
    assert view.deadline is not None and view.deadline.at == before.held_until
    legal.check_settled(held)


def test_the_hold_outlives_a_second_replacement(held: Bed, gate: Any) -> None:
    before = held.record("alice")
    gate.remake(held.actor("alice"), ALICE)
    gate.remake(held.actor("alice"), ALICE)
    after = held.record("alice")
    assert (after.held_until, after.stopped_at, after.keep) == (before.held_until, before.stopped_at, True)
    Ticking(held).tick(hours=22)
    assert held.record("alice").slots == ("1:0",)


def test_one_that_never_ran_has_no_hold_to_hand_on(bed: Bed) -> None:
    fill(bed, "alice")
    bed.gate.remake(bed.actor("alice"), ALICE)
    after = bed.record("alice")
    assert (after.held_until, after.stopped_at) == (None, None)


def test_the_gpu_is_released_when_the_hold_would_have_ended(held: Bed) -> None:
    held.gate.remake(held.actor("alice"), ALICE)
    ticking = Ticking(held)
    ticking.tick(hours=22)
    assert held.record("alice").slots == ("1:0",)
    ticking.tick(hours=2)
    record = held.record("alice")
    assert (record.state, record.lease, record.keep) == (State.STOPPED, None, True)


def test_a_replacement_shortly_before_the_end_of_the_hold_has_its_time_to_be_started(held: Bed) -> None:
    held.clock.advance(hours=22, minutes=55)
    held.gate.remake(held.actor("alice"), ALICE)
    ticking = Ticking(held)
    ticking.tick(minutes=10)
    assert held.record("alice").slots == ("1:0",)
    ticking.tick(minutes=25)
    assert held.record("alice").lease is None


def test_a_start_of_the_replacement_that_fails_ends_no_hold(held: Bed) -> None:
    before = held.record("alice").held_until

    class Failing(type(held.engine)):  # type: ignore[misc]
        def start(self, reference: str) -> None:
            raise EngineRejected("no")

    gate = held.another_gate(engine=Failing(held.engine.store.path, clock=held.clock))
    with pytest.raises(EngineRejected):
        gate.start(held.actor("alice"), ALICE, recreate=True)
    record = held.record("alice")
    assert (record.state, record.held_until, record.keep) == (State.CREATED, before, True)
    Ticking(held).tick(hours=3)
    assert held.record("alice").slots == ("1:0",)


def test_a_start_ends_the_hold_as_always(held: Bed) -> None:
    held.gate.start(held.actor("alice"), ALICE, recreate=True)
    record = held.record("alice")
    assert (record.state, record.held_until, record.stopped_at, record.keep) == (State.RUNNING, None, None, True)


@pytest.mark.parametrize("call", ["create", "start"])
def test_nobody_is_told_when_the_gpu_of_one_that_is_being_started_comes_free(bed: Bed, call: str) -> None:
    told = []

    def ask() -> None:
        with pytest.raises(NoCapacity) as error:
            fill(bed, "boss", name="big", gpus=1)
        told.append(refusal(error))

    class Asking(type(bed.engine)):  # type: ignore[misc]
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
        fill(bed, "bob" if name == "a" else "carol", name=name, start=True)
    gate = bed.another_gate(engine=Asking(bed.engine.store.path, clock=bed.clock))
    gate.create(bed.actor("alice"), bed.request("alice"))
    gate.start(bed.actor("alice"), ALICE)
    (found,) = told
    assert found.earliest is None
    assert all(claim.until is None for claim in found.claims if claim.container == ALICE)


def test_one_that_waits_to_be_started_has_its_time(bed: Bed) -> None:
    fill(bed, "alice")
    for name in ("a", "b", "c"):
        fill(bed, "bob" if name == "a" else "carol", name=name, start=True)
    with pytest.raises(NoCapacity) as error:
        fill(bed, "boss", name="big", gpus=1)
    assert refusal(error).earliest == bed.clock() + timedelta(minutes=30)
