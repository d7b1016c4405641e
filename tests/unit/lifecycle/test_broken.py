"""A container that the engine cannot look at affects that container only."""

from __future__ import annotations

from typing import Any

import pytest

from ds01.engines.protocol import ContainerStatus, Devices
from ds01.engines.simulated.engine import SimulatedEngine
from ds01.errors import EngineRejected, EngineUnreachable, NoCapacity
from ds01.records.machine import State
from tests.acts import ALICE, BOB, fill
from tests.bed import Bed


def break_it(bed: Bed, container: str, status: ContainerStatus | None = ContainerStatus.DEAD, *calls: str) -> None:
    if status is not None:
        bed.engine.set_status(container, status)
    bed.engine.break_container(container, *calls)


@pytest.fixture
def broken(bed: Bed) -> Bed:
    """Alice's running container died, and the engine has lost a part of it."""
    fill(bed, "alice", start=True)
    break_it(bed, ALICE)
    return bed


def test_others_create_start_stop_and_list(broken: Bed, gate: Any) -> None:
    bob = broken.actor("bob")
    made = gate.create(bob, broken.request("bob", gpus=2)).container
    assert broken.uuid["1:0"] not in {slot.uuid for slot in made.gpus}
    assert gate.start(bob, BOB).container.state == "running"
    assert [item.state for item in gate.containers(bob)] == ["running"]
    assert gate.stop(bob, BOB, release=True).container.state == "stopped"
    assert gate.start(bob, BOB).container.state == "running"
    assert gate.start(bob, BOB, recreate=False).already


def test_its_record_stays_and_its_gpu_is_taken(broken: Bed, gate: Any) -> None:
    before = broken.record("alice")
    rows = {row.slot: row for row in gate.gpus(broken.actor("bob")).slots}
    assert (rows["1:0"].state, rows["1:0"].container) == ("leased", ALICE)
    fill(broken, "boss", gpus=2)
    fill(broken, "boss", name="other", gpus=1)
    with pytest.raises(NoCapacity):
        fill(broken, "bob")
    assert broken.record("alice") == before


def test_an_event_names_it_once_for_each_command(broken: Bed) -> None:
    gate = broken.another_gate()
    gate.gpus(broken.actor("bob"))
    gate.gpus(broken.actor("bob"))
    (facts,) = [facts for kind, facts in broken.events if kind == "not_inspected"]
    assert (facts["container"], facts["user"]) == (ALICE, "alice")
    assert "RWLayer" in facts["why"]


def test_its_own_commands_say_what_docker_says(broken: Bed, gate: Any) -> None:
    with pytest.raises(EngineRejected) as error:
        gate.start(broken.actor("alice"), ALICE)
    assert "RWLayer" in (error.value.why or "")
    assert [item.name for item in gate.containers(broken.actor("alice"))] == ["thesis"]


def test_it_can_be_removed_if_docker_removes_it(bed: Bed, gate: Any) -> None:
    fill(bed, "alice", start=True)
    gate.stop(bed.actor("alice"), ALICE)
    break_it(bed, ALICE, ContainerStatus.DEAD, "inspect")
    assert gate.remove(bed.actor("alice"), ALICE).container.state == "removed"
    assert bed.leased() == {}


def test_one_that_vanished_is_an_event_although_its_tag_cannot_be_removed(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(bed, "alice", start=True)
    bed.engine.stop(ALICE, grace=0)
    bed.engine.remove(ALICE)

    def refuse(engine: SimulatedEngine, reference: str) -> None:
        raise EngineRejected("Docker could not remove the tag")

    monkeypatch.setattr(SimulatedEngine, "untag", refuse)
    bed.another_gate().reconcile(bed.actor("bob"))
    assert [facts["to"] for kind, facts in bed.events if kind == "transition"][-1:] == ["removed"]
    assert bed.leased() == {}


@pytest.mark.parametrize("status", [ContainerStatus.RUNNING, ContainerStatus.PAUSED])
def test_one_that_was_started_by_hand_keeps_its_gpu_from_others(bed: Bed, gate: Any, status: ContainerStatus) -> None:
    fill(bed, "alice", start=True)
    gate.stop(bed.actor("alice"), ALICE, release=True)
    bed.engine.start(ALICE)
    break_it(bed, ALICE, status)
    states = {row.slot: row.state for row in gate.gpus(bed.actor("bob")).slots}
    assert states == {"0": "free", "1:0": "busy_outside", "1:1": "free", "1:2": "free"}
    assert bed.record("alice").state is State.STOPPED


@pytest.mark.parametrize(
    ("labels", "busy"),
    [
        ({}, set()),
        ({"aime.mlc.GPUS": "0"}, {"0"}),
        ({"aime.mlc.GPUS": "all"}, {"0", "1:0", "1:1", "1:2"}),
        ({"aime.mlc.GPUS": "1:1,0"}, {"0", "1:1"}),
        ({"aime.mlc.GPUS": "-"}, set()),
    ],
)
def test_a_foreign_one_has_the_gpus_that_its_labels_name(
    bed: Bed, gate: Any, labels: dict[str, str], busy: set[str]
) -> None:
    bed.engine.add_foreign("foreign", labels=labels, devices=Devices(everything=True, form="device_request"))
    break_it(bed, "foreign", None)
    states = {row.slot: row.state for row in gate.gpus(bed.actor("bob")).slots}
    assert {slot for slot, state in states.items() if state == "busy_outside"} == busy
    assert "not_inspected" in bed.kinds()


def test_one_without_a_record_keeps_the_gpu_on_its_labels(bed: Bed, gate: Any) -> None:
    fill(bed, "alice", start=True)
    break_it(bed, ALICE, None)
    bed.record_file("alice").unlink()
    gate.reconcile(bed.actor("root"))
    states = {row.slot: row.state for row in gate.gpus(bed.actor("bob")).slots}
    assert states == {"0": "free", "1:0": "busy_outside", "1:1": "free", "1:2": "free"}
    assert bed.records() == []
    bed.engine.fix_container(ALICE)
    gate.reconcile(bed.actor("root"))
    assert bed.leased() == {bed.uuid["1:0"]: ALICE}


def test_sizes_usage_and_aimes_list_have_the_others(bed: Bed, gate: Any) -> None:
    for name in ("thesis", "other"):
        fill(bed, "alice", name=name, start=True)
    break_it(bed, ALICE, None)
    alice, names = bed.actor("alice"), (ALICE, bed.full("alice", "other"))
    assert [item.bytes for item in gate.sizes(alice, names)] == [None, 0]
    assert [item.pids for item in gate.usage(alice, names)] == [None, 1]
    assert {view.container.name for view in gate.as_aime(alice)} == {"thesis", "other"}


def test_an_emergency_stop_goes_on_and_names_it(bed: Bed, gate: Any) -> None:
    for login in ("alice", "bob", "carol"):
        fill(bed, login, gpus=0, start=True)
    break_it(bed, ALICE, None)
    bed.engine.add_foreign("foreign")
    break_it(bed, "foreign", None)
    stopped = gate.emergency_stop(bed.actor("boss"))
    assert set(stopped.containers) == {bed.full("bob"), bed.full("carol")}
    assert len(stopped.failed) == 1 and stopped.failed[0].startswith(ALICE) and "RWLayer" in stopped.failed[0]
    assert {record.state for record in bed.records() if record.container_name != ALICE} == {State.STOPPED}


def test_an_emergency_stop_answers_though_docker_goes_away_after_it(bed: Bed) -> None:
    fill(bed, "alice", gpus=0, start=True)

    class Leaving(type(bed.engine)):  # type: ignore[misc]
        def stop(self, reference: str, *, grace: float) -> None:
            super().stop(reference, grace=grace)
            self.set_answering(False)

    gate = bed.another_gate(engine=Leaving(bed.engine.store.path, clock=bed.clock))
    stopped = gate.emergency_stop(bed.actor("boss"))
    assert stopped.containers == (ALICE,) and stopped.problem
    assert "emergency_stop" in bed.kinds()


def test_an_error_of_any_kind_keeps_no_other_container_from_being_stopped(bed: Bed) -> None:
    for login in ("alice", "bob"):
        fill(bed, login, gpus=0, start=True)

    class Odd(type(bed.engine)):  # type: ignore[misc]
        def stop(self, reference: str, *, grace: float) -> None:
            seen = self.inspect(reference)
            if seen is not None and seen.name == ALICE:
                raise ValueError("odd")
            super().stop(reference, grace=grace)

    stopped = bed.another_gate(engine=Odd(bed.engine.store.path, clock=bed.clock)).emergency_stop(bed.actor("boss"))
    assert (stopped.containers, stopped.failed) == ((BOB,), (f"{ALICE}: ValueError: odd",))


def test_an_engine_that_does_not_answer_is_still_no_answer(broken: Bed, gate: Any) -> None:
    broken.engine.set_answering(False)
    with pytest.raises(EngineUnreachable):
        gate.gpus(broken.actor("bob"))
