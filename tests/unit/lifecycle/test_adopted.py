"""Adopted containers later on: other GPUs, lists, lost records, the automation."""

from __future__ import annotations

from typing import Any

import pytest

from ds01.engines.protocol import ContainerProcess
from ds01.errors import InvalidState, NoCapacity, NotFound
from ds01.gpus.simulated import parse_inventory
from ds01.host.checks import records as check_records
from ds01.host.checks.facts import DoctorFacts
from ds01.lifecycle.context.ownership import is_ours
from ds01.lifecycle.spec.aime import left_inside
from ds01.records.state_machine import State
from tests import aime_containers, invariants
from tests.aime_containers import AIME_CONTAINER, ALICE_UID, BOB_UID, adopt, devices_of, is_running
from tests.harness import POLICY, Harness
from tests.tick_harness import TickHarness


def test_renamed_after_it_was_adopted_it_is_still_the_same(harness: Harness) -> None:
    aime_containers.create(harness)
    adopt(harness)
    harness.engine.rename(AIME_CONTAINER, f"new._.{ALICE_UID}")
    with pytest.raises(InvalidState, match="renamed"):
        harness.gate.adopt(harness.actor("alice"), f"new._.{ALICE_UID}")
    assert len(harness.records()) == 1


class Renames:
    """An engine in which somebody renames the container when it is inspected."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def inspect(self, reference: str, **more: Any) -> Any:
        if self._engine.inspect(AIME_CONTAINER) is not None:
            self._engine.rename(AIME_CONTAINER, f"theirs._.{BOB_UID}")
        return self._engine.inspect(reference, **more)


def test_container_renamed_during_adoption_is_not_adopted(harness: Harness) -> None:
    aime_containers.create(harness, start=True)
    with pytest.raises(NotFound):
        harness.another_gate(engine=Renames(harness.engine)).adopt(harness.actor("alice"), AIME_CONTAINER)
    assert harness.records() == []


# when the server's GPUs change


@pytest.fixture
def grown(harness: Harness) -> str:
    """A container for all GPUs, adopted when there was one and stopped since; now there are two, and bob has one."""
    set_gpus(harness, "1xA100")
    made = aime_containers.create(harness, devices=aime_containers.ALL_GPUS, start=True)
    adopt(harness)
    harness.gate.stop(harness.actor("alice"), AIME_CONTAINER)
    set_gpus(harness, "2xA100")
    return made


def set_gpus(harness: Harness, gpus: str) -> None:
    harness.inventory = parse_inventory(gpus)


def test_one_for_all_gpus_is_not_started_onto_a_new_one(harness: Harness, grown: str) -> None:
    alice = harness.actor("alice")
    (new,) = harness.gate.create(harness.actor("bob"), harness.request("bob")).container.gpus
    assert new.slot == "1"
    with pytest.raises(InvalidState, match="also get GPU 1") as caught:
        harness.gate.start(alice, AIME_CONTAINER)
    assert "--recreate" in (caught.value.hint or "")
    assert not is_running(harness, grown) and harness.record("alice", "theirs").state is State.HELD
    assert [slot.slot for slot in harness.gate.start(alice, AIME_CONTAINER, recreate=True).container.gpus] == ["0"]
    invariants.check_settled(harness)


def test_outside_start_of_an_adopted_container_can_conflict(harness: Harness, grown: str) -> None:
    harness.gate.create(harness.actor("bob"), harness.request("bob"))
    harness.engine.start(grown)
    harness.gate.reconcile(harness.actor("root"))
    record = harness.record("alice", "theirs")
    assert (record.state, record.lease) == (State.RUNNING, None)
    assert record.conflict is not None and "1" in record.conflict
    assert [facts["holder_user"] for kind, facts in harness.events if kind == "conflict"] == ["bob"]
    with pytest.raises(NoCapacity):
        harness.gate.create(harness.actor("carol"), harness.request("carol"))


def test_outside_start_leases_the_free_new_gpu(harness: Harness, grown: str) -> None:
    harness.engine.start(grown)
    with pytest.raises(NoCapacity):
        harness.gate.create(harness.actor("bob"), harness.request("bob"))
    assert harness.record("alice", "theirs").slots == ("0", "1")
    invariants.check_settled(harness)


# what is listed


def test_it_is_listed_for_its_owner_until_it_is_adopted(harness: Harness, gate: Any) -> None:
    alice = harness.actor("alice")
    aime_containers.create(harness)
    aime_containers.create(harness, "bob", "his")
    harness.gate.create(alice, harness.request("alice"))
    listing = gate.listing(alice)
    assert [view.name for view in listing.containers] == ["thesis"] and listing.adoptable == (AIME_CONTAINER,)
    assert gate.listing(alice, all_users=True).adoptable == (f"his._.{BOB_UID}", AIME_CONTAINER)
    shown = {view.container.container: view for view in gate.as_aime(alice, sizes=True)}
    assert {name: view.adoptable for name, view in shown.items()} == {
        harness.full("alice"): False,
        AIME_CONTAINER: True,
    }
    assert (shown[AIME_CONTAINER].framework, shown[AIME_CONTAINER].architecture) == ("Pytorch-2.7.1", "CUDA_ADA")
    gate.adopt(alice, AIME_CONTAINER)
    assert gate.listing(alice).adoptable == ()
    assert len(gate.as_aime(alice)) == 2
    with pytest.raises(NotFound):
        gate.find_adoptable(alice, "theirs")


def test_adopted_name_is_taken_for_a_create(harness: Harness) -> None:
    aime_containers.create(harness, name="thesis")
    with pytest.raises(InvalidState) as caught:
        harness.gate.create(harness.actor("alice"), harness.request("alice"))
    assert "container-adopt thesis" in (caught.value.hint or "")


# what happens to its record


def test_unreadable_record_of_an_adopted_container_is_set_aside(harness: Harness) -> None:
    aime_containers.create(harness, devices=devices_of(harness, "1:0"), start=True)
    adopt(harness)
    harness.record_file("alice", "theirs").write_text("{")
    harness.gate.reconcile(harness.actor("root"))
    assert harness.records() == []
    given = harness.gate.create(harness.actor("bob"), harness.request("bob", gpus=2)).container.gpus
    assert harness.uuid["1:0"] not in {slot.uuid for slot in given}
    adopt(harness)
    assert harness.leased()[harness.uuid["1:0"]] == AIME_CONTAINER


def test_vanish_or_stop_outside_ds01_is_recorded(harness: Harness) -> None:
    made = aime_containers.create(harness, devices=devices_of(harness, "0"), start=True)
    adopt(harness)
    harness.engine.kill(made)
    harness.gate.reconcile(harness.actor("root"))
    assert harness.record("alice", "theirs").state is State.HELD
    harness.engine.remove_by_force(made)
    harness.gate.reconcile(harness.actor("root"))
    assert harness.records() == [] and harness.leased() == {}


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
        ([FIRST, process(101, 7, "bash")], 1),  # another shell, entered from outside
        ([FIRST, process(101, 100, "python train.py")], 1),
        ([FIRST, process(101, 100, "bash"), process(102, 101, "python train.py")], 2),
        ([FIRST, process(101, 100, "bash train.sh")], 1),
    ],
)
def test_processes_left_inside(processes: list[ContainerProcess], left: int) -> None:
    assert left_inside(processes) == left


def test_a_container_that_does_not_run_has_nothing_inside(harness: Harness, gate: Any) -> None:
    alice = harness.actor("alice")
    harness.gate.create(alice, harness.request("alice"))
    assert gate.inside(alice, harness.full("alice")) == 0
    harness.gate.start(alice, harness.full("alice"))
    assert gate.inside(alice, harness.full("alice")) == 0
    harness.engine.spawn(harness.full("alice"), "python train.py")
    assert gate.inside(alice, harness.full("alice")) == 1


# the automation, and doctor


def test_tick_treats_an_adopted_container_like_any_other(harness: Harness) -> None:
    harness.set_policy(POLICY.replace("max_containers", "idle_timeout: 12h, max_containers"))
    aime_containers.create(harness, devices=devices_of(harness, "0"), start=True)
    adopt(harness)
    ticker = TickHarness(harness)
    for _ in range(30):  # it is idle from the first sample on
        ticker.tick(hours=0.5)
    assert harness.record("alice", "theirs").state is State.HELD
    assert [notice.container for notice in ticker.mailboxes.take(ALICE_UID)][:1] == [AIME_CONTAINER]
    ticker.tick(hours=25)
    assert harness.record("alice", "theirs").state is State.STOPPED and harness.leased() == {}
    invariants.check_settled(harness)


def test_doctor_has_nothing_to_say_of_it(harness: Harness) -> None:
    aime_containers.create(harness, devices=devices_of(harness, "0"), start=True)
    adopt(harness)
    listed = tuple(harness.engine.containers())
    facts = DoctorFacts(
        now=harness.clock(),
        sandbox=True,
        records=tuple(harness.records()),
        engine=harness.engine.info(),
        containers=listed,
        ours=frozenset(seen.id for seen in listed if is_ours(harness.context, seen)),
        observation=harness.inventory.observe(),
    )
    checks = (check_records.docker, check_records.labels, check_records.leases)
    assert [finding for check in checks for finding in check(facts)] == []


def test_an_emergency_stop_ends_it_too_once_it_is_adopted(harness: Harness) -> None:
    made = aime_containers.create(harness, start=True)
    assert harness.gate.emergency_stop(harness.actor("boss")).containers == ()
    adopt(harness)
    assert harness.gate.emergency_stop(harness.actor("boss")).containers == (AIME_CONTAINER,)
    seen = harness.engine.inspect(made)
    assert seen is not None and not seen.status.has_processes
