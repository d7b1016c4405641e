"""What becomes of containers of AIME's after they were taken over: other GPUs, lists, lost records, the automation."""

from __future__ import annotations

from typing import Any

import pytest

from ds01.engines.protocol import ContainerProcess
from ds01.errors import InvalidState, NoCapacity, NotFound
from ds01.gpus.simulated import parse_inventory
from ds01.host.checks import records as check_records
from ds01.host.checks.facts import Facts
from ds01.lifecycle.context.ownership import is_ours
from ds01.lifecycle.spec.aime import left_inside
from ds01.records.machine import State
from tests import aime, legal
from tests.aime import ALICE, BOB, THEIRS, adopt, one, runs
from tests.bed import POLICY, Bed
from tests.ticking import Ticking


def test_renamed_after_it_was_adopted_it_is_still_the_same(bed: Bed) -> None:
    aime.make(bed)
    adopt(bed)
    bed.engine.rename(THEIRS, f"new._.{ALICE}")
    with pytest.raises(InvalidState, match="renamed"):
        bed.gate.adopt(bed.actor("alice"), f"new._.{ALICE}")
    assert len(bed.records()) == 1


class Renames:
    """An engine in which somebody renames the container when it is looked at."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def inspect(self, reference: str, **more: Any) -> Any:
        if self._engine.inspect(THEIRS) is not None:
            self._engine.rename(THEIRS, f"theirs._.{BOB}")
        return self._engine.inspect(reference, **more)


def test_renamed_while_it_is_adopted_it_is_nobodys(bed: Bed) -> None:
    aime.make(bed, start=True)
    with pytest.raises(NotFound):
        bed.another_gate(engine=Renames(bed.engine)).adopt(bed.actor("alice"), THEIRS)
    assert bed.records() == []


# when the server's GPUs change


@pytest.fixture
def grown(bed: Bed) -> str:
    """A container for all GPUs, adopted when there was one and stopped since; now there are two, and bob has one."""
    set_gpus(bed, "1xA100")
    made = aime.make(bed, devices=aime.ALL, start=True)
    adopt(bed)
    bed.gate.stop(bed.actor("alice"), THEIRS)
    set_gpus(bed, "2xA100")
    return made


def set_gpus(bed: Bed, gpus: str) -> None:
    bed.inventory = parse_inventory(gpus)


def test_one_for_all_gpus_is_not_started_onto_a_new_one(bed: Bed, grown: str) -> None:
    alice = bed.actor("alice")
    (new,) = bed.gate.create(bed.actor("bob"), bed.request("bob")).container.gpus
    assert new.slot == "1"
    with pytest.raises(InvalidState, match="GPU 1 too") as caught:
        bed.gate.start(alice, THEIRS)
    assert "--recreate" in (caught.value.hint or "")
    assert not runs(bed, grown) and bed.record("alice", "theirs").state is State.HELD
    assert [slot.slot for slot in bed.gate.start(alice, THEIRS, recreate=True).container.gpus] == ["0"]
    legal.check_settled(bed)


def test_started_behind_ds01_onto_a_new_one_that_somebody_has_it_is_in_conflict(bed: Bed, grown: str) -> None:
    bed.gate.create(bed.actor("bob"), bed.request("bob"))
    bed.engine.start(grown)
    bed.gate.reconcile(bed.actor("root"))
    record = bed.record("alice", "theirs")
    assert (record.state, record.lease) == (State.RUNNING, None)
    assert record.conflict is not None and "1" in record.conflict
    assert [facts["holder_user"] for kind, facts in bed.events if kind == "conflict"] == ["bob"]
    with pytest.raises(NoCapacity):
        bed.gate.create(bed.actor("carol"), bed.request("carol"))


def test_started_behind_ds01_it_has_the_new_one_if_nobody_has(bed: Bed, grown: str) -> None:
    bed.engine.start(grown)
    with pytest.raises(NoCapacity):
        bed.gate.create(bed.actor("bob"), bed.request("bob"))
    assert bed.record("alice", "theirs").slots == ("0", "1")
    legal.check_settled(bed)


# what is listed


def test_it_is_listed_for_its_owner_until_it_is_adopted(bed: Bed, gate: Any) -> None:
    alice = bed.actor("alice")
    aime.make(bed)
    aime.make(bed, "bob", "his")
    bed.gate.create(alice, bed.request("alice"))
    listing = gate.listing(alice)
    assert [view.name for view in listing.containers] == ["thesis"] and listing.adoptable == (THEIRS,)
    assert gate.listing(alice, all_users=True).adoptable == (f"his._.{BOB}", THEIRS)
    shown = {view.container.container: view for view in gate.as_aime(alice, sizes=True)}
    assert {name: view.adoptable for name, view in shown.items()} == {bed.full("alice"): False, THEIRS: True}
    assert (shown[THEIRS].framework, shown[THEIRS].architecture) == ("Pytorch-2.7.1", "CUDA_ADA")
    gate.adopt(alice, THEIRS)
    assert gate.listing(alice).adoptable == ()
    assert len(gate.as_aime(alice)) == 2
    with pytest.raises(NotFound):
        gate.find_adoptable(alice, "theirs")


def test_its_name_is_taken_for_a_new_one_which_is_told_what_to_do(bed: Bed) -> None:
    aime.make(bed, name="thesis")
    with pytest.raises(InvalidState) as caught:
        bed.gate.create(bed.actor("alice"), bed.request("alice"))
    assert "container-adopt thesis" in (caught.value.hint or "")


# what happens to its record


def test_an_unreadable_record_of_an_adopted_one_is_set_aside_and_no_gpu_doubles(bed: Bed) -> None:
    aime.make(bed, devices=one(bed, "1:0"), start=True)
    adopt(bed)
    bed.record_file("alice", "theirs").write_text("{")
    bed.gate.reconcile(bed.actor("root"))
    assert bed.records() == []
    given = bed.gate.create(bed.actor("bob"), bed.request("bob", gpus=2)).container.gpus
    assert bed.uuid["1:0"] not in {slot.uuid for slot in given}
    adopt(bed)
    assert bed.leased()[bed.uuid["1:0"]] == THEIRS


def test_what_vanishes_or_stops_behind_ds01_is_seen(bed: Bed) -> None:
    made = aime.make(bed, devices=one(bed, "0"), start=True)
    adopt(bed)
    bed.engine.kill(made)
    bed.gate.reconcile(bed.actor("root"))
    assert bed.record("alice", "theirs").state is State.HELD
    bed.engine.remove_by_force(made)
    bed.gate.reconcile(bed.actor("root"))
    assert bed.records() == [] and bed.leased() == {}


# when nothing is left inside


def process(pid: int, parent: int, command: str) -> ContainerProcess:
    return ContainerProcess(pid, parent, command)


FIRST = process(100, 7, "bash -c bash")


@pytest.mark.parametrize(
    ("processes", "left"),
    [
        ([], 0),
        ([FIRST], 0),
        ([FIRST, process(101, 100, "bash")], 0),  # the shell that the first one waits for
        ([FIRST, process(101, 7, "bash")], 1),  # somebody else's shell
        ([FIRST, process(101, 100, "python train.py")], 1),
        ([FIRST, process(101, 100, "bash"), process(102, 101, "python train.py")], 2),
        ([FIRST, process(101, 100, "bash train.sh")], 1),
    ],
)
def test_what_is_left_inside(processes: list[ContainerProcess], left: int) -> None:
    assert left_inside(processes) == left


def test_a_container_that_does_not_run_has_nothing_inside(bed: Bed, gate: Any) -> None:
    alice = bed.actor("alice")
    bed.gate.create(alice, bed.request("alice"))
    assert gate.inside(alice, bed.full("alice")) == 0
    bed.gate.start(alice, bed.full("alice"))
    assert gate.inside(alice, bed.full("alice")) == 0
    bed.engine.spawn(bed.full("alice"), "python train.py")
    assert gate.inside(alice, bed.full("alice")) == 1


# the automation, and doctor


def test_the_tick_ends_its_idleness_and_its_hold_as_those_of_any_other(bed: Bed) -> None:
    bed.set_policy(POLICY.replace("max_containers", "idle_timeout: 12h, max_containers"))
    aime.make(bed, devices=one(bed, "0"), start=True)
    adopt(bed)
    ticking = Ticking(bed)
    for _ in range(30):  # it does nothing from the first look on
        ticking.tick(hours=0.5)
    assert bed.record("alice", "theirs").state is State.HELD
    assert [notice.container for notice in ticking.mailboxes.take(ALICE)][:1] == [THEIRS]
    ticking.tick(hours=25)
    assert bed.record("alice", "theirs").state is State.STOPPED and bed.leased() == {}
    legal.check_settled(bed)


def test_doctor_has_nothing_to_say_of_it(bed: Bed) -> None:
    aime.make(bed, devices=one(bed, "0"), start=True)
    adopt(bed)
    listed = tuple(bed.engine.containers())
    facts = Facts(
        now=bed.clock(),
        own=True,
        records=tuple(bed.records()),
        engine=bed.engine.info(),
        containers=listed,
        ours=frozenset(seen.id for seen in listed if is_ours(bed.context, seen)),
        observation=bed.inventory.observe(),
    )
    checks = (check_records.docker, check_records.labels, check_records.leases)
    assert [finding for check in checks for finding in check(facts)] == []


def test_an_emergency_stop_ends_it_too_once_it_is_adopted(bed: Bed) -> None:
    made = aime.make(bed, start=True)
    assert bed.gate.emergency_stop(bed.actor("boss")).containers == ()
    adopt(bed)
    assert bed.gate.emergency_stop(bed.actor("boss")).containers == (THEIRS,)
    seen = bed.engine.inspect(made)
    assert seen is not None and not seen.status.has_processes
