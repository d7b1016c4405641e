"""What happens behind ds01's back, and what the records say afterwards."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ds01.engines.protocol import ContainerSpec, ContainerStatus, CreateResult, Devices
from ds01.engines.simulated.engine import SimulatedEngine
from ds01.errors import EngineRejected, EngineUnreachable, InvalidState, NoCapacity
from ds01.records.machine import State
from tests import legal
from tests.bed import NOON, POLICY, Bed

ALICE, BOB = "thesis._.70001", "thesis._.70002"


@pytest.fixture
def running(bed: Bed) -> Bed:
    """alice's container runs since noon, and it is ten past."""
    bed.gate.create(bed.actor("alice"), bed.request("alice"))
    bed.gate.start(bed.actor("alice"), ALICE)
    bed.clock.advance(minutes=10)
    return bed


def look(bed: Bed) -> None:
    bed.another_gate().reconcile(bed.actor("root"))
    legal.check_settled(bed)


def look_closely(bed: Bed) -> None:
    """As a command on this container does. A reconcile has one list of all, which tells states but no times."""
    bed.another_gate().sizes(bed.actor("alice"), (ALICE,))
    legal.check_settled(bed)


def last(bed: Bed, login: str = "alice") -> tuple[str, str, str | None]:
    step = bed.record(login).history[-1]
    return step.trigger.value, step.actor, step.why


def test_a_stop_is_seen_with_dockers_own_time_and_the_hold_counts_from_there(running: Bed) -> None:
    stopped_at = running.clock.time
    running.engine.stop(ALICE, grace=0)
    running.clock.advance(hours=3)
    look(running)
    record = running.record("alice")
    assert (record.state, record.stopped_at) == (State.HELD, stopped_at)
    assert record.held_until == stopped_at + timedelta(hours=24)
    assert last(running)[1] == "observed"
    assert len(running.leased()) == 1


def test_a_stop_without_a_hold_ends_the_lease(running: Bed) -> None:
    running.set_policy(POLICY.replace("gpu_hold_after_stop: 24h", "gpu_hold_after_stop: 0s"))
    running.engine.kill(ALICE)
    look(running)
    assert running.record("alice").state is State.STOPPED
    assert running.leased() == {}


@pytest.mark.parametrize(
    ("code", "oom", "words"), [(0, False, "exit code 0"), (1, False, "exit code 1"), (137, True, "OOM at 32g")]
)
def test_why_it_ended_is_recorded(running: Bed, code: int, oom: bool, words: str) -> None:
    running.engine.kill(ALICE, code=code, out_of_memory=oom)
    look(running)
    assert words in (last(running)[2] or "")


def test_a_restart_of_the_engine_stops_all_and_keeps_their_leases(running: Bed) -> None:
    running.gate.create(running.actor("bob"), running.request("bob"))
    running.gate.start(running.actor("bob"), BOB)
    running.engine.restart_engine()
    look(running)
    assert {record.state for record in running.records()} == {State.HELD}
    assert len(running.leased()) == 2


def test_a_start_of_a_held_one_is_seen(running: Bed) -> None:
    running.gate.stop(running.actor("alice"), ALICE)
    running.clock.advance(hours=1)
    running.engine.start(ALICE)
    look(running)
    record = running.record("alice")
    assert (record.state, record.started_at, record.held_until) == (State.RUNNING, running.clock.time, None)


def test_a_start_of_a_stopped_one_takes_free_slots_again_over_quota_or_not(running: Bed) -> None:
    alice = running.actor("alice")
    running.gate.stop(alice, ALICE, release=True)
    running.gate.create(alice, running.request("alice", "more", 2))  # the quota is used up, and 1:0 with it
    running.gate.remove(alice, running.full("alice", "more"))
    running.gate.allocate(running.actor("boss"), 70002, "x", running.request("bob", gpus=2).gpus)
    running.gate.release(running.actor("boss"), running.full("bob", "x"))
    running.engine.start(ALICE)
    look(running)
    assert running.record("alice").state is State.RUNNING
    assert running.leased() == {running.uuid["1:0"]: ALICE}


def test_a_start_on_slots_that_somebody_has_is_a_conflict_told_to_both(running: Bed) -> None:
    running.gate.stop(running.actor("alice"), ALICE, release=True)
    running.gate.create(running.actor("bob"), running.request("bob"))
    assert running.leased() == {running.uuid["1:0"]: BOB}
    running.engine.start(ALICE)
    look(running)
    record = running.record("alice")
    assert (record.state, record.lease) == (State.RUNNING, None)
    assert record.conflict
    (told,) = [facts for kind, facts in running.events if kind == "conflict"]
    assert (told["user"], told["holder_user"], told["holder"]) == ("alice", "bob", BOB)
    look(running)
    assert running.kinds().count("conflict") == 1
    running.gate.remove(running.actor("bob"), BOB)
    for name in ("a", "b", "c"):
        running.gate.create(running.actor("boss"), running.request("boss", name, 1))
    with pytest.raises(NoCapacity):  # alice's runs on it, and got its lease back before anybody else could have it
        running.gate.create(running.actor("carol"), running.request("carol"))
    assert running.leased()[running.uuid["1:0"]] == ALICE
    assert running.record("alice").conflict is None
    assert running.gate.stop(running.actor("alice"), ALICE).container.state == "held"


def test_a_restart_behind_ds01_ends_no_conflict(running: Bed) -> None:
    running.gate.stop(running.actor("alice"), ALICE, release=True)
    running.gate.create(running.actor("bob"), running.request("bob"))
    running.engine.start(ALICE)
    look(running)
    running.engine.kill(ALICE)
    running.clock.advance(minutes=1)
    running.engine.start(ALICE)
    look_closely(running)
    record = running.record("alice")
    assert (record.state, record.started_at, record.lease) == (State.RUNNING, running.clock.time, None)
    assert record.conflict
    assert running.leased() == {running.uuid["1:0"]: BOB}


def test_a_restart_behind_ds01_is_a_stop_and_a_start_with_the_same_lease(running: Bed) -> None:
    before = running.leased()
    running.engine.kill(ALICE)
    running.clock.advance(minutes=1)
    running.engine.start(ALICE)
    look_closely(running)
    assert [step.trigger.value for step in running.record("alice").history] == ["create", "start", "stop", "start"]
    assert running.leased() == before
    assert running.record("alice").started_at == running.clock.time


def test_a_short_life_between_two_looks_is_recorded(running: Bed) -> None:
    running.gate.stop(running.actor("alice"), ALICE)
    running.engine.start(ALICE)
    running.clock.advance(minutes=1)
    running.engine.kill(ALICE)
    look_closely(running)
    wanted = ["create", "start", "stop", "start", "stop"]
    assert [step.trigger.value for step in running.record("alice").history] == wanted


def test_pause_and_unpause_are_seen(running: Bed) -> None:
    running.engine.pause(ALICE)
    look(running)
    assert running.record("alice").paused
    assert running.record("alice").state is State.RUNNING
    running.engine.unpause(ALICE)
    look(running)
    assert not running.record("alice").paused


@pytest.mark.parametrize("before", ["created", "running", "held", "stopped"])
def test_what_was_removed_has_vanished_and_its_name_is_free(bed: Bed, before: str) -> None:
    alice = bed.actor("alice")
    bed.gate.create(alice, bed.request("alice"))
    if before != "created":
        bed.gate.start(alice, ALICE)
    if before in ("held", "stopped"):
        bed.gate.stop(alice, ALICE, release=before == "stopped")
    bed.engine.remove_by_force(ALICE)
    look(bed)
    assert bed.records() == []
    (record,) = bed.ledger.removed()
    assert record.history[-1].trigger.value == "vanish"
    assert bed.engine.image(f"pytorch/pytorch:{ALICE}") is None
    bed.gate.create(alice, bed.request("alice"))


def test_a_renamed_container_has_not_vanished(running: Bed) -> None:
    running.engine.rename(ALICE, "something-else")
    look(running)
    assert running.record("alice").state is State.RUNNING
    running.engine.add_foreign(ALICE, devices=Devices((running.uuid["1:1"],)))
    look(running)
    record = running.record("alice")
    assert record.docker_id is not None
    assert running.gate.stop(running.actor("alice"), ALICE).container.state == "held"
    seen = running.engine.inspect(ALICE)
    assert seen is not None and seen.status is ContainerStatus.RUNNING  # the other one was left alone


def test_the_same_name_with_another_id_is_somebody_elses(running: Bed) -> None:
    running.engine.remove_by_force(ALICE)
    other = running.engine.add_foreign(ALICE)
    look(running)
    assert running.records() == []
    assert running.engine.inspect(other) is not None


def test_removing_is_unknown_and_dead_is_stopped(running: Bed) -> None:
    running.engine.set_status(ALICE, ContainerStatus.REMOVING)
    running.another_gate().reconcile(running.actor("root"))
    assert running.record("alice").state is State.RUNNING
    running.engine.set_status(ALICE, ContainerStatus.DEAD)
    look(running)
    assert running.record("alice").state is State.HELD


def test_no_answer_is_not_an_answer(running: Bed) -> None:
    before = running.record("alice")
    running.engine.set_answering(False)
    running.clock.advance(days=30)
    for ask in (
        lambda: running.gate.reconcile(running.actor("root")),
        lambda: running.gate.containers(running.actor("alice")),
        lambda: running.gate.stop(running.actor("alice"), ALICE),
    ):
        with pytest.raises(EngineUnreachable):
            ask()
    assert running.record("alice") == before


def test_times_of_the_engine_are_clipped_between_the_last_transition_and_now(running: Bed) -> None:
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


def test_a_tick_skips_what_a_command_is_at_work_on(running: Bed) -> None:
    running.engine.kill(ALICE)
    with running.ledger.container_lock(ALICE, doing="being stopped by alice"):
        assert running.another_gate().reconcile(running.actor("root")) == ()
        assert running.record("alice").state is State.RUNNING
    look(running)
    assert running.record("alice").state is State.HELD


def test_a_lost_record_is_rebuilt_from_the_labels(running: Bed, gate: Any) -> None:
    before = running.record("alice")
    running.record_file("alice").unlink()
    look(running)
    after = running.record("alice")
    same = ("id", "container_name", "name", "user", "uid", "gid", "group", "image", "docker_id", "own_tag",
            "state", "workspace", "created_at", "project")  # fmt: skip
    assert {key: getattr(after, key) for key in same} == {key: getattr(before, key) for key in same}
    assert [(ref.slot, ref.uuid) for ref in after.gpus_fixed] == [(ref.slot, ref.uuid) for ref in before.gpus_fixed]
    assert after.slots == before.slots
    assert gate.stop(running.actor("alice"), ALICE).container.state == "held"
    assert len(gate.start(running.actor("alice"), ALICE, recreate=True).container.gpus) == 1


def test_a_cpu_only_container_stays_so_when_it_is_rebuilt_and_made_anew(bed: Bed) -> None:
    alice = bed.actor("alice")
    bed.gate.create(alice, bed.request("alice", gpus=0))
    bed.record_file("alice").unlink()
    look(bed)
    assert bed.gate.start(alice, ALICE, recreate=True).container.gpus == ()


def test_others_are_not_told_of_what_is_not_theirs_and_nothing_foreign_is_touched(bed: Bed) -> None:
    foreign = [
        bed.engine.add_foreign("stranger"),
        bed.engine.add_foreign("x._.70001", labels={"ds01.managed": "true", "ds01.installation": "another"}),
        bed.engine.add_foreign("stopped", running=False),
    ]
    look(bed)
    assert [bed.engine.inspect(each) is not None for each in foreign] == [True] * 3
    assert bed.records() == []


def test_a_leftover_of_a_create_that_was_given_up_is_removed_if_it_never_ran(bed: Bed) -> None:
    kept: dict[str, Any] = {}

    class Slow(SimulatedEngine):
        """It gives an error, and makes the container all the same, later."""

        def create(self, spec: ContainerSpec) -> CreateResult:
            created = super().create(spec)
            with self.change() as state:
                kept.update(state["containers"].pop(created.id))
            raise EngineRejected("Docker could not create the container")

    gate = bed.another_gate(engine=Slow(bed.engine.store.path, clock=bed.clock))
    with pytest.raises(EngineRejected):
        gate.create(bed.actor("alice"), bed.request("alice"))
    with bed.engine.change() as state:
        state["containers"][kept["id"]] = kept
    look(bed)
    assert bed.engine.containers() == []
    assert bed.leased() == {}


def test_a_stop_by_hand_before_a_command_makes_the_command_already_done(running: Bed, gate: Any) -> None:
    running.engine.stop(ALICE, grace=0)
    assert gate.stop(running.actor("alice"), ALICE).already
    assert gate.start(running.actor("alice"), ALICE).container.state == "running"
    running.engine.kill(ALICE)
    with pytest.raises(InvalidState):
        gate.pause(running.actor("alice"), ALICE)
