"""Changes outside ds01, and what the records say afterwards."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ds01.engines.protocol import ContainerSpec, ContainerStatus, CreateResult, Devices
from ds01.engines.simulated.engine import SimulatedEngine
from ds01.errors import EngineRejected, EngineUnreachable, InvalidState, NoCapacity
from ds01.records.state_machine import State
from tests import invariants
from tests.harness import NOON, POLICY, Harness

ALICE_THESIS, BOB_THESIS = "thesis._.70001", "thesis._.70002"


@pytest.fixture
def running(harness: Harness) -> Harness:
    """alice's container runs since noon, and it is ten past."""
    harness.gate.create(harness.actor("alice"), harness.request("alice"))
    harness.gate.start(harness.actor("alice"), ALICE_THESIS)
    harness.clock.advance(minutes=10)
    return harness


def look(harness: Harness) -> None:
    harness.another_gate().reconcile(harness.actor("root"))
    invariants.check_settled(harness)


def look_closely(harness: Harness) -> None:
    """As a command on this container does. A reconcile has one list of all, which tells states but no times."""
    harness.another_gate().sizes(harness.actor("alice"), (ALICE_THESIS,))
    invariants.check_settled(harness)


def last(harness: Harness, login: str = "alice") -> tuple[str, str, str | None]:
    step = harness.record(login).history[-1]
    return step.trigger.value, step.actor, step.why


def test_outside_stop_has_dockers_time(running: Harness) -> None:
    stopped_at = running.clock.time
    running.engine.stop(ALICE_THESIS, grace=0)
    running.clock.advance(hours=3)
    look(running)
    record = running.record("alice")
    assert (record.state, record.stopped_at) == (State.HELD, stopped_at)
    assert record.held_until == stopped_at + timedelta(hours=24)
    assert last(running)[1] == "observed"
    assert len(running.leased()) == 1


def test_a_stop_without_a_hold_ends_the_lease(running: Harness) -> None:
    running.set_policy(POLICY.replace("gpu_hold_after_stop: 24h", "gpu_hold_after_stop: 0s"))
    running.engine.kill(ALICE_THESIS)
    look(running)
    assert running.record("alice").state is State.STOPPED
    assert running.leased() == {}


@pytest.mark.parametrize(
    ("code", "oom", "words"), [(0, False, "code 0"), (1, False, "code 1"), (137, True, "out of memory: limit 32g")]
)
def test_why_it_ended_is_recorded(running: Harness, code: int, oom: bool, words: str) -> None:
    running.engine.kill(ALICE_THESIS, code=code, out_of_memory=oom)
    look(running)
    assert words in (last(running)[2] or "")


def test_engine_restart_keeps_leases(running: Harness) -> None:
    running.gate.create(running.actor("bob"), running.request("bob"))
    running.gate.start(running.actor("bob"), BOB_THESIS)
    running.engine.restart_engine()
    look(running)
    assert {record.state for record in running.records()} == {State.HELD}
    assert len(running.leased()) == 2


def test_a_start_of_a_held_one_is_seen(running: Harness) -> None:
    running.gate.stop(running.actor("alice"), ALICE_THESIS)
    running.clock.advance(hours=1)
    running.engine.start(ALICE_THESIS)
    look(running)
    record = running.record("alice")
    assert (record.state, record.started_at, record.held_until) == (State.RUNNING, running.clock.time, None)


def test_outside_start_takes_free_slots_even_over_quota(running: Harness) -> None:
    alice = running.actor("alice")
    running.gate.stop(alice, ALICE_THESIS, release=True)
    running.gate.create(alice, running.request("alice", "more", 2))  # the quota is used up, and 1:0 with it
    running.gate.remove(alice, running.full("alice", "more"))
    running.gate.allocate(running.actor("boss"), 70002, "x", running.request("bob", gpus=2).gpus)
    running.gate.release(running.actor("boss"), running.full("bob", "x"))
    running.engine.start(ALICE_THESIS)
    look(running)
    assert running.record("alice").state is State.RUNNING
    assert running.leased() == {running.uuid["1:0"]: ALICE_THESIS}


def test_outside_start_on_leased_slots_is_a_conflict(running: Harness) -> None:
    running.gate.stop(running.actor("alice"), ALICE_THESIS, release=True)
    running.gate.create(running.actor("bob"), running.request("bob"))
    assert running.leased() == {running.uuid["1:0"]: BOB_THESIS}
    running.engine.start(ALICE_THESIS)
    look(running)
    record = running.record("alice")
    assert (record.state, record.lease) == (State.RUNNING, None)
    assert record.conflict
    (told,) = [facts for kind, facts in running.events if kind == "conflict"]
    assert (told["user"], told["holder_user"], told["holder"]) == ("alice", "bob", BOB_THESIS)
    look(running)
    assert running.kinds().count("conflict") == 1
    running.gate.remove(running.actor("bob"), BOB_THESIS)
    for name in ("a", "b", "c"):
        running.gate.create(running.actor("boss"), running.request("boss", name, 1))
    with pytest.raises(NoCapacity):  # alice's runs on it, and got its lease back before anybody else could have it
        running.gate.create(running.actor("carol"), running.request("carol"))
    assert running.leased()[running.uuid["1:0"]] == ALICE_THESIS
    assert running.record("alice").conflict is None
    assert running.gate.stop(running.actor("alice"), ALICE_THESIS).container.state == "held"


def test_restart_outside_ds01_does_not_end_a_conflict(running: Harness) -> None:
    running.gate.stop(running.actor("alice"), ALICE_THESIS, release=True)
    running.gate.create(running.actor("bob"), running.request("bob"))
    running.engine.start(ALICE_THESIS)
    look(running)
    running.engine.kill(ALICE_THESIS)
    running.clock.advance(minutes=1)
    running.engine.start(ALICE_THESIS)
    look_closely(running)
    record = running.record("alice")
    assert (record.state, record.started_at, record.lease) == (State.RUNNING, running.clock.time, None)
    assert record.conflict
    assert running.leased() == {running.uuid["1:0"]: BOB_THESIS}


def test_outside_restart_keeps_the_lease(running: Harness) -> None:
    before = running.leased()
    running.engine.kill(ALICE_THESIS)
    running.clock.advance(minutes=1)
    running.engine.start(ALICE_THESIS)
    look_closely(running)
    assert [step.trigger.value for step in running.record("alice").history] == ["create", "start", "stop", "start"]
    assert running.leased() == before
    assert running.record("alice").started_at == running.clock.time


def test_a_short_life_between_two_looks_is_recorded(running: Harness) -> None:
    running.gate.stop(running.actor("alice"), ALICE_THESIS)
    running.engine.start(ALICE_THESIS)
    running.clock.advance(minutes=1)
    running.engine.kill(ALICE_THESIS)
    look_closely(running)
    wanted = ["create", "start", "stop", "start", "stop"]
    assert [step.trigger.value for step in running.record("alice").history] == wanted


def test_pause_and_unpause_are_seen(running: Harness) -> None:
    running.engine.pause(ALICE_THESIS)
    look(running)
    assert running.record("alice").paused
    assert running.record("alice").state is State.RUNNING
    running.engine.unpause(ALICE_THESIS)
    look(running)
    assert not running.record("alice").paused


@pytest.mark.parametrize("before", ["created", "running", "held", "stopped"])
def test_what_was_removed_has_vanished_and_its_name_is_free(harness: Harness, before: str) -> None:
    alice = harness.actor("alice")
    harness.gate.create(alice, harness.request("alice"))
    if before != "created":
        harness.gate.start(alice, ALICE_THESIS)
    if before in ("held", "stopped"):
        harness.gate.stop(alice, ALICE_THESIS, release=before == "stopped")
    harness.engine.remove_by_force(ALICE_THESIS)
    look(harness)
    assert harness.records() == []
    (record,) = harness.ledger.removed()
    assert record.history[-1].trigger.value == "vanish"
    assert harness.engine.image(f"pytorch/pytorch:{ALICE_THESIS}") is None
    harness.gate.create(alice, harness.request("alice"))


def test_a_renamed_container_has_not_vanished(running: Harness) -> None:
    running.engine.rename(ALICE_THESIS, "something-else")
    look(running)
    assert running.record("alice").state is State.RUNNING
    running.engine.add_foreign(ALICE_THESIS, devices=Devices((running.uuid["1:1"],)))
    look(running)
    record = running.record("alice")
    assert record.docker_id is not None
    assert running.gate.stop(running.actor("alice"), ALICE_THESIS).container.state == "held"
    seen = running.engine.inspect(ALICE_THESIS)
    assert seen is not None and seen.status is ContainerStatus.RUNNING  # the other one was left alone


def test_same_name_with_another_id_is_outside_use(running: Harness) -> None:
    running.engine.remove_by_force(ALICE_THESIS)
    other = running.engine.add_foreign(ALICE_THESIS)
    look(running)
    assert running.records() == []
    assert running.engine.inspect(other) is not None


def test_removing_is_unknown_and_dead_is_stopped(running: Harness) -> None:
    running.engine.set_status(ALICE_THESIS, ContainerStatus.REMOVING)
    running.another_gate().reconcile(running.actor("root"))
    assert running.record("alice").state is State.RUNNING
    running.engine.set_status(ALICE_THESIS, ContainerStatus.DEAD)
    look(running)
    assert running.record("alice").state is State.HELD


def test_no_answer_is_not_an_answer(running: Harness) -> None:
    before = running.record("alice")
    running.engine.set_answering(False)
    running.clock.advance(days=30)
    for ask in (
        lambda: running.gate.reconcile(running.actor("root")),
        lambda: running.gate.containers(running.actor("alice")),
        lambda: running.gate.stop(running.actor("alice"), ALICE_THESIS),
    ):
        with pytest.raises(EngineUnreachable):
            ask()
    assert running.record("alice") == before


def test_engine_times_are_clipped(running: Harness) -> None:
    with running.engine.change() as state:
        (container,) = state["containers"].values()
        container.update(status="exited", exit_code=1, finished_at="2020-01-01T00:00:00Z")
    look(running)
    assert running.record("alice").stopped_at == NOON
    with running.engine.change() as state:
        (container,) = state["containers"].values()
        container.update(status="running", started_at="2099-01-01T00:00:00Z")
    look(running)
    assert running.record("alice").started_at == running.clock.time


def test_a_tick_skips_what_a_command_is_at_work_on(running: Harness) -> None:
    running.engine.kill(ALICE_THESIS)
    with running.ledger.container_lock(ALICE_THESIS, doing="being stopped by alice"):
        assert running.another_gate().reconcile(running.actor("root")) == ()
        assert running.record("alice").state is State.RUNNING
    look(running)
    assert running.record("alice").state is State.HELD


def test_a_lost_record_is_rebuilt_from_the_labels(running: Harness, gate: Any) -> None:
    before = running.record("alice")
    running.record_file("alice").unlink()
    look(running)
    after = running.record("alice")
    same = ("id", "container_name", "name", "user", "uid", "gid", "group", "image", "docker_id", "own_tag",
            "state", "workspace", "created_at", "project")  # fmt: skip
    assert {key: getattr(after, key) for key in same} == {key: getattr(before, key) for key in same}
    assert [(ref.slot, ref.uuid) for ref in after.gpus_fixed] == [(ref.slot, ref.uuid) for ref in before.gpus_fixed]
    assert after.slots == before.slots
    assert gate.stop(running.actor("alice"), ALICE_THESIS).container.state == "held"
    assert len(gate.start(running.actor("alice"), ALICE_THESIS, recreate=True).container.gpus) == 1


def test_cpu_only_survives_rebuild_and_recreate(harness: Harness) -> None:
    alice = harness.actor("alice")
    harness.gate.create(alice, harness.request("alice", gpus=0))
    harness.record_file("alice").unlink()
    look(harness)
    assert harness.gate.start(alice, ALICE_THESIS, recreate=True).container.gpus == ()


def test_foreign_containers_are_not_touched(harness: Harness) -> None:
    foreign = [
        harness.engine.add_foreign("stranger"),
        harness.engine.add_foreign("x._.70001", labels={"ds01.managed": "true", "ds01.installation": "another"}),
        harness.engine.add_foreign("stopped", running=False),
    ]
    look(harness)
    assert [harness.engine.inspect(each) is not None for each in foreign] == [True] * 3
    assert harness.records() == []


def test_leftover_of_an_abandoned_create_is_removed(harness: Harness) -> None:
    kept: dict[str, Any] = {}

    class Slow(SimulatedEngine):
        """It gives an error, and makes the container all the same, later."""

        def create(self, spec: ContainerSpec) -> CreateResult:
            created = super().create(spec)
            with self.change() as state:
                kept.update(state["containers"].pop(created.id))
            raise EngineRejected("Docker could not create the container")

    gate = harness.another_gate(engine=Slow(harness.engine.store.path, clock=harness.clock))
    with pytest.raises(EngineRejected):
        gate.create(harness.actor("alice"), harness.request("alice"))
    with harness.engine.change() as state:
        state["containers"][kept["id"]] = kept
    look(harness)
    assert harness.engine.containers() == []
    assert harness.leased() == {}


def test_stop_of_an_already_stopped_container_succeeds(running: Harness, gate: Any) -> None:
    running.engine.stop(ALICE_THESIS, grace=0)
    assert gate.stop(running.actor("alice"), ALICE_THESIS).already
    assert gate.start(running.actor("alice"), ALICE_THESIS).container.state == "running"
    running.engine.kill(ALICE_THESIS)
    with pytest.raises(InvalidState):
        gate.pause(running.actor("alice"), ALICE_THESIS)
