"""Creating a container again: on which slots, and that any refusal or failure leaves the old container."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import Any

import pytest

from ds01.errors import Ds01Error, EngineRejected, InvalidState, NoCapacity
from ds01.gpus.simulated import parse_inventory
from ds01.records.request import RequestedLimits
from tests.actions import create, create_container, recreate, remake, start, stop_and_take_slots
from tests.fault_injection import FaultyEngine, StepCounter, make_raiser
from tests.harness import POLICY, Harness

ALICE_THESIS, BOB_THESIS = "thesis._.70001", "thesis._.70002"


def test_recreate_uses_other_slots(harness: Harness, gate: Any) -> None:
    create_container(
        harness, "alice", start=True, data=str(harness.root / "shared" / "data"), wants=RequestedLimits(max_cpus=2)
    )
    harness.gate.stop(harness.actor("alice"), ALICE_THESIS, release=True)
    create_container(harness, "bob")
    old = harness.record("alice")
    again = gate.start(harness.actor("alice"), ALICE_THESIS, recreate=True).container
    assert again.state == "running"
    assert [slot.slot for slot in again.gpus] == ["1:1"]
    new = harness.record("alice")
    assert new.id != old.id and new.docker_id != old.docker_id
    assert new.request == old.request
    assert new.workspace == old.workspace
    assert harness.engine.inspect(old.docker_id or "") is None
    assert [record.id for record in harness.ledger.removed()] == [old.id]
    seen = harness.engine.inspect(ALICE_THESIS)
    assert seen is not None and seen.spec is not None
    assert seen.spec.cpu_quota == 200_000
    assert "/data" in {mount.target for mount in seen.spec.mounts}


def test_recreate_that_is_refused_keeps_the_old_container(harness: Harness, gate: Any) -> None:
    stop_and_take_slots(harness)
    create_container(harness, "carol")
    old = harness.record("alice")
    with pytest.raises(NoCapacity):
        gate.start(harness.actor("alice"), ALICE_THESIS, recreate=True)
    assert harness.record("alice") == old
    assert harness.engine.inspect(old.docker_id or "") is not None


def test_remake_keeps_the_slots_even_without_a_hold(harness: Harness, gate: Any) -> None:
    harness.set_policy(POLICY.replace("gpu_hold_after_stop: 24h", "gpu_hold_after_stop: 0s"))
    create_container(harness, "alice", start=True)
    old = harness.record("alice")
    again = gate.remake(harness.actor("alice"), ALICE_THESIS).container
    new = harness.record("alice")
    assert again.state == "running"
    assert new.lease is not None and old.lease is not None and new.lease.slots == old.lease.slots
    assert new.docker_id != old.docker_id and new.request == old.request
    assert harness.engine.inspect(old.docker_id or "") is None


def test_remake_of_one_that_rests_does_not_start_it(harness: Harness, gate: Any) -> None:
    create_container(harness, "alice", start=True)
    harness.gate.stop(harness.actor("alice"), ALICE_THESIS)
    slots = harness.record("alice").gpus_fixed
    assert gate.remake(harness.actor("alice"), ALICE_THESIS).container.state == "created"
    assert harness.record("alice").gpus_fixed == slots


def test_remake_without_a_lease_says_how_to_get_one(harness: Harness, gate: Any) -> None:
    stop_and_take_slots(harness)
    old = harness.record("alice")
    with pytest.raises(InvalidState) as caught:
        gate.remake(harness.actor("alice"), ALICE_THESIS)
    assert "--recreate" in (caught.value.hint or "")
    assert harness.record("alice") == old


@pytest.mark.parametrize("why", ["no image", "no GPU"])
def test_remake_that_is_refused_stops_nothing(harness: Harness, gate: Any, why: str) -> None:
    create_container(harness, "alice", start=True)
    old = harness.record("alice")
    if why == "no image":
        harness.engine.untag(old.image)
    else:
        harness.inventory = parse_inventory("1xA100")
    with pytest.raises(Ds01Error):
        gate.remake(harness.actor("alice"), ALICE_THESIS)
    assert harness.record("alice") == old
    seen = harness.engine.inspect(old.docker_id or "")
    assert seen is not None and seen.status.has_processes


def test_remake_of_one_in_conflict_says_what_to_do(harness: Harness, gate: Any) -> None:
    stop_and_take_slots(harness)
    harness.engine.start(harness.record("alice").docker_id or "")
    with pytest.raises(InvalidState) as caught:
        gate.remake(harness.actor("alice"), ALICE_THESIS)
    assert "leased to another container" in (caught.value.why or "")
    assert "container-stop" in (caught.value.hint or "") and "--recreate" in (caught.value.hint or "")


def test_failed_recreate_stops_nothing(harness: Harness) -> None:
    create(harness.gate, harness)
    start(harness.gate, harness)
    before, (there,) = harness.record("alice"), harness.engine.containers()
    tagged = harness.engine.image(there.image)
    for call in ("create", "put_archive", "get_archive", "tag"):
        shutil.rmtree(harness.state / "image-facts", ignore_errors=True)  # known images need no get_archive
        steps = StepCounter(0, make_raiser(EngineRejected("Docker refused")))
        with pytest.raises(EngineRejected):
            remake(harness.another_gate(engine=FaultyEngine(harness.engine, steps, (call,))), harness)
        assert harness.engine.containers() == [there]
        assert harness.engine.image(there.image) == tagged
        assert harness.record("alice") == replace(before, rev=harness.record("alice").rev)


def test_renamed_container_is_not_recreated_over_another(harness: Harness) -> None:
    create(harness.gate, harness)
    harness.engine.rename(ALICE_THESIS, "elsewhere._.70001")
    harness.engine.add_foreign(ALICE_THESIS, running=False)
    before = harness.record("alice")
    with pytest.raises(InvalidState):
        recreate(harness.gate, harness)
    assert sorted(seen.name for seen in harness.engine.containers()) == ["elsewhere._.70001", ALICE_THESIS]
    assert harness.record("alice") == before
