"""A container that the engine cannot inspect affects only that container."""

from __future__ import annotations

from typing import Any

import pytest

from ds01.engines.protocol import ContainerStatus, Devices
from ds01.engines.simulated.engine import SimulatedEngine
from ds01.errors import EngineRejected, EngineUnreachable, NoCapacity
from ds01.records.state_machine import State
from tests.actions import ALICE_THESIS, BOB_THESIS, create_container
from tests.harness import Harness


def break_it(
    harness: Harness, container: str, status: ContainerStatus | None = ContainerStatus.DEAD, *calls: str
) -> None:
    if status is not None:
        harness.engine.set_status(container, status)
    harness.engine.break_container(container, *calls)


@pytest.fixture
def broken(harness: Harness) -> Harness:
    """Alice's running container died, and the engine has lost a part of it."""
    create_container(harness, "alice", start=True)
    break_it(harness, ALICE_THESIS)
    return harness


def test_others_create_start_stop_and_list(broken: Harness, gate: Any) -> None:
    bob = broken.actor("bob")
    made = gate.create(bob, broken.request("bob", gpus=2)).container
    assert broken.uuid["1:0"] not in {slot.uuid for slot in made.gpus}
    assert gate.start(bob, BOB_THESIS).container.state == "running"
    assert [item.state for item in gate.containers(bob)] == ["running"]
    assert gate.stop(bob, BOB_THESIS, release=True).container.state == "stopped"
    assert gate.start(bob, BOB_THESIS).container.state == "running"
    assert gate.start(bob, BOB_THESIS, recreate=False).already


def test_its_record_stays_and_its_gpu_is_taken(broken: Harness, gate: Any) -> None:
    before = broken.record("alice")
    rows = {row.slot: row for row in gate.gpus(broken.actor("bob")).slots}
    assert (rows["1:0"].state, rows["1:0"].container) == ("leased", ALICE_THESIS)
    create_container(broken, "boss", gpus=2)
    create_container(broken, "boss", name="other", gpus=1)
    with pytest.raises(NoCapacity):
        create_container(broken, "bob")
    assert broken.record("alice") == before


def test_an_event_names_it_once_for_each_command(broken: Harness) -> None:
    gate = broken.another_gate()
    gate.gpus(broken.actor("bob"))
    gate.gpus(broken.actor("bob"))
    (facts,) = [facts for kind, facts in broken.events if kind == "not_inspected"]
    assert (facts["container"], facts["user"]) == (ALICE_THESIS, "alice")
    assert "RWLayer" in facts["why"]


def test_its_own_commands_say_what_docker_says(broken: Harness, gate: Any) -> None:
    with pytest.raises(EngineRejected) as error:
        gate.start(broken.actor("alice"), ALICE_THESIS)
    assert "RWLayer" in (error.value.why or "")
    assert [item.name for item in gate.containers(broken.actor("alice"))] == ["thesis"]


def test_it_can_be_removed_if_docker_removes_it(harness: Harness, gate: Any) -> None:
    create_container(harness, "alice", start=True)
    gate.stop(harness.actor("alice"), ALICE_THESIS)
    break_it(harness, ALICE_THESIS, ContainerStatus.DEAD, "inspect")
    assert gate.remove(harness.actor("alice"), ALICE_THESIS).container.state == "removed"
    assert harness.leased() == {}


def test_vanish_is_an_event_even_if_its_tag_stays(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    create_container(harness, "alice", start=True)
    harness.engine.stop(ALICE_THESIS, grace=0)
    harness.engine.remove(ALICE_THESIS)

    def refuse(engine: SimulatedEngine, reference: str) -> None:
        raise EngineRejected("Docker could not remove the tag")

    monkeypatch.setattr(SimulatedEngine, "untag", refuse)
    harness.another_gate().reconcile(harness.actor("bob"))
    assert [facts["to"] for kind, facts in harness.events if kind == "transition"][-1:] == ["removed"]
    assert harness.leased() == {}


@pytest.mark.parametrize("status", [ContainerStatus.RUNNING, ContainerStatus.PAUSED])
def test_one_that_was_started_by_hand_keeps_its_gpu_from_others(
    harness: Harness, gate: Any, status: ContainerStatus
) -> None:
    create_container(harness, "alice", start=True)
    gate.stop(harness.actor("alice"), ALICE_THESIS, release=True)
    harness.engine.start(ALICE_THESIS)
    break_it(harness, ALICE_THESIS, status)
    states = {row.slot: row.state for row in gate.gpus(harness.actor("bob")).slots}
    assert states == {"0": "free", "1:0": "busy_outside", "1:1": "free", "1:2": "free"}
    assert harness.record("alice").state is State.STOPPED


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
    harness: Harness, gate: Any, labels: dict[str, str], busy: set[str]
) -> None:
    harness.engine.add_foreign("foreign", labels=labels, devices=Devices(everything=True, form="device_request"))
    break_it(harness, "foreign", None)
    states = {row.slot: row.state for row in gate.gpus(harness.actor("bob")).slots}
    assert {slot for slot, state in states.items() if state == "busy_outside"} == busy
    assert "not_inspected" in harness.kinds()


def test_one_without_a_record_keeps_the_gpu_on_its_labels(harness: Harness, gate: Any) -> None:
    create_container(harness, "alice", start=True)
    break_it(harness, ALICE_THESIS, None)
    harness.record_file("alice").unlink()
    gate.reconcile(harness.actor("root"))
    states = {row.slot: row.state for row in gate.gpus(harness.actor("bob")).slots}
    assert states == {"0": "free", "1:0": "busy_outside", "1:1": "free", "1:2": "free"}
    assert harness.records() == []
    harness.engine.fix_container(ALICE_THESIS)
    gate.reconcile(harness.actor("root"))
    assert harness.leased() == {harness.uuid["1:0"]: ALICE_THESIS}


def test_sizes_usage_and_aimes_list_have_the_others(harness: Harness, gate: Any) -> None:
    for name in ("thesis", "other"):
        create_container(harness, "alice", name=name, start=True)
    break_it(harness, ALICE_THESIS, None)
    alice, names = harness.actor("alice"), (ALICE_THESIS, harness.full("alice", "other"))
    assert [item.bytes for item in gate.sizes(alice, names)] == [None, 0]
    assert [item.pids for item in gate.usage(alice, names)] == [None, 1]
    assert {view.container.name for view in gate.as_aime(alice)} == {"thesis", "other"}


def test_an_emergency_stop_goes_on_and_names_it(harness: Harness, gate: Any) -> None:
    for login in ("alice", "bob", "carol"):
        create_container(harness, login, gpus=0, start=True)
    break_it(harness, ALICE_THESIS, None)
    harness.engine.add_foreign("foreign")
    break_it(harness, "foreign", None)
    stopped = gate.emergency_stop(harness.actor("boss"))
    assert set(stopped.containers) == {harness.full("bob"), harness.full("carol")}
    assert len(stopped.failed) == 1 and stopped.failed[0].startswith(ALICE_THESIS) and "RWLayer" in stopped.failed[0]
    assert {record.state for record in harness.records() if record.container_name != ALICE_THESIS} == {State.STOPPED}


def test_emergency_stop_survives_a_lost_docker(harness: Harness) -> None:
    create_container(harness, "alice", gpus=0, start=True)

    class Leaving(type(harness.engine)):  # type: ignore[misc]
        def stop(self, reference: str, *, grace: float) -> None:
            super().stop(reference, grace=grace)
            self.set_answering(False)

    gate = harness.another_gate(engine=Leaving(harness.engine.store.path, clock=harness.clock))
    stopped = gate.emergency_stop(harness.actor("boss"))
    assert stopped.containers == (ALICE_THESIS,) and stopped.problem
    assert "emergency_stop" in harness.kinds()


def test_emergency_stop_continues_after_any_error(harness: Harness) -> None:
    for login in ("alice", "bob"):
        create_container(harness, login, gpus=0, start=True)

    class Odd(type(harness.engine)):  # type: ignore[misc]
        def stop(self, reference: str, *, grace: float) -> None:
            seen = self.inspect(reference)
            if seen is not None and seen.name == ALICE_THESIS:
                raise ValueError("odd")
            super().stop(reference, grace=grace)

    stopped = harness.another_gate(engine=Odd(harness.engine.store.path, clock=harness.clock)).emergency_stop(
        harness.actor("boss")
    )
    assert (stopped.containers, stopped.failed) == ((BOB_THESIS,), (f"{ALICE_THESIS}: ValueError: odd",))


def test_an_engine_that_does_not_answer_is_still_no_answer(broken: Harness, gate: Any) -> None:
    broken.engine.set_answering(False)
    with pytest.raises(EngineUnreachable):
        gate.gpus(broken.actor("bob"))
