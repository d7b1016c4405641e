"""Making a container anew: on which slots, and that whatever is refused or fails leaves the old one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ds01.errors import Ds01Error, EngineRejected, InvalidState, NoCapacity
from ds01.gpus.simulated import parse_inventory
from ds01.records.request import Wants
from tests.acts import create, fill, recreate, remake, start, stopped_with_slots_taken
from tests.bed import POLICY, Bed
from tests.faults import FaultyEngine, Steps, raising

ALICE, BOB = "thesis._.70001", "thesis._.70002"


def test_recreate_makes_it_anew_on_other_slots(bed: Bed, gate: Any) -> None:
    fill(bed, "alice", start=True, data=str(bed.root / "shared" / "data"), wants=Wants(max_cpus=2))
    bed.gate.stop(bed.actor("alice"), ALICE, release=True)
    fill(bed, "bob")
    old = bed.record("alice")
    again = gate.start(bed.actor("alice"), ALICE, recreate=True).container
    assert again.state == "running"
    assert [slot.slot for slot in again.gpus] == ["1:1"]
    new = bed.record("alice")
    assert new.id != old.id and new.docker_id != old.docker_id
    assert new.request == old.request
    assert new.workspace == old.workspace
    assert bed.engine.inspect(old.docker_id or "") is None
    assert [record.id for record in bed.ledger.removed()] == [old.id]
    seen = bed.engine.inspect(ALICE)
    assert seen is not None and seen.spec is not None
    assert seen.spec.cpu_quota == 200_000
    assert "/data" in {mount.target for mount in seen.spec.mounts}


def test_recreate_that_is_refused_keeps_the_old_container(bed: Bed, gate: Any) -> None:
    stopped_with_slots_taken(bed)
    fill(bed, "carol")
    old = bed.record("alice")
    with pytest.raises(NoCapacity):
        gate.start(bed.actor("alice"), ALICE, recreate=True)
    assert bed.record("alice") == old
    assert bed.engine.inspect(old.docker_id or "") is not None


def test_remake_keeps_the_slots_even_without_a_hold(bed: Bed, gate: Any) -> None:
    bed.set_policy(POLICY.replace("gpu_hold_after_stop: 24h", "gpu_hold_after_stop: 0s"))
    fill(bed, "alice", start=True)
    old = bed.record("alice")
    again = gate.remake(bed.actor("alice"), ALICE).container
    new = bed.record("alice")
    assert again.state == "running"
    assert new.lease is not None and old.lease is not None and new.lease.slots == old.lease.slots
    assert new.docker_id != old.docker_id and new.request == old.request
    assert bed.engine.inspect(old.docker_id or "") is None


def test_remake_of_one_that_rests_does_not_start_it(bed: Bed, gate: Any) -> None:
    fill(bed, "alice", start=True)
    bed.gate.stop(bed.actor("alice"), ALICE)
    slots = bed.record("alice").gpus_fixed
    assert gate.remake(bed.actor("alice"), ALICE).container.state == "created"
    assert bed.record("alice").gpus_fixed == slots


def test_remake_without_a_lease_says_how_to_get_one(bed: Bed, gate: Any) -> None:
    stopped_with_slots_taken(bed)
    old = bed.record("alice")
    with pytest.raises(InvalidState) as caught:
        gate.remake(bed.actor("alice"), ALICE)
    assert "--recreate" in (caught.value.hint or "")
    assert bed.record("alice") == old


@pytest.mark.parametrize("why", ["no image", "no GPU"])
def test_remake_that_is_refused_stops_nothing(bed: Bed, gate: Any, why: str) -> None:
    fill(bed, "alice", start=True)
    old = bed.record("alice")
    if why == "no image":
        bed.engine.untag(old.image)
    else:
        bed.inventory = parse_inventory("1xA100")
    with pytest.raises(Ds01Error):
        gate.remake(bed.actor("alice"), ALICE)
    assert bed.record("alice") == old
    seen = bed.engine.inspect(old.docker_id or "")
    assert seen is not None and seen.status.has_processes


def test_remake_of_one_in_conflict_says_what_to_do(bed: Bed, gate: Any) -> None:
    stopped_with_slots_taken(bed)
    bed.engine.start(bed.record("alice").docker_id or "")
    with pytest.raises(InvalidState) as caught:
        gate.remake(bed.actor("alice"), ALICE)
    assert "which somebody else has" in (caught.value.why or "")
    assert "container-stop" in (caught.value.hint or "") and "--recreate" in (caught.value.hint or "")


def test_what_fails_while_it_is_made_anew_stops_nothing(bed: Bed) -> None:
    create(bed.gate, bed)
    start(bed.gate, bed)
    before, (there,) = bed.record("alice"), bed.engine.containers()
    tagged = bed.engine.image(there.image)
    for call in ("create", "put_archive", "get_archive", "tag"):
        steps = Steps(0, raising(EngineRejected("Docker refused")))
        with pytest.raises(EngineRejected):
            remake(bed.another_gate(engine=FaultyEngine(bed.engine, steps, (call,))), bed)
        assert bed.engine.containers() == [there]
        assert bed.engine.image(there.image) == tagged
        assert bed.record("alice") == replace(before, rev=bed.record("alice").rev)


def test_one_that_was_renamed_is_not_made_anew_over_another_that_has_its_name(bed: Bed) -> None:
    create(bed.gate, bed)
    bed.engine.rename(ALICE, "elsewhere._.70001")
    bed.engine.add_foreign(ALICE, running=False)
    before = bed.record("alice")
    with pytest.raises(InvalidState):
        recreate(bed.gate, bed)
    assert sorted(seen.name for seen in bed.engine.containers()) == ["elsewhere._.70001", ALICE]
    assert bed.record("alice") == before
