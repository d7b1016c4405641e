"""A container's life through the gate, directly and through the wire."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ds01.engines.protocol import ExecRequest
from ds01.errors import EngineNotFound, InvalidState, NotFound, PermissionDenied
from ds01.records.machine import State, Trigger
from tests.bed import NOON, POLICY, Bed

ALICE = "thesis._.70001"


def steps(bed: Bed, login: str = "alice") -> list[str]:
    return [step.trigger.value for step in bed.record(login).history]


def test_a_container_is_created_with_its_lease_and_does_not_run(bed: Bed, gate: Any) -> None:
    made = gate.create(bed.actor("alice"), bed.request("alice"))
    assert (made.container.state, made.container.container, made.already) == ("created", ALICE, False)
    assert [slot.slot for slot in made.container.gpus] == ["1:0"]
    assert made.container.gpus == made.container.gpus_fixed
    seen = bed.engine.inspect(ALICE)
    assert seen is not None
    assert not seen.status.has_processes
    assert seen.devices is not None
    assert seen.devices.ids == (bed.uuid["1:0"],)
    record = bed.record("alice")
    assert (record.docker_id, record.pending, record.gpu_id) == (seen.id, None, "1:0")
    assert record.id == seen.labels["ds01.id"]


def test_cpu_only_gets_no_device_and_no_lease(bed: Bed, gate: Any) -> None:
    made = gate.create(bed.actor("alice"), bed.request("alice", gpus=0))
    assert made.container.gpus == ()
    assert bed.leased() == {}
    seen = bed.engine.inspect(ALICE)
    assert seen is not None and seen.spec is not None
    assert not seen.devices
    assert seen.spec.environment["NVIDIA_VISIBLE_DEVICES"] == "void"
    assert gate.start(bed.actor("alice"), ALICE).container.state == "running"
    assert gate.stop(bed.actor("alice"), ALICE).container.state == "stopped"


def test_the_whole_life_keeps_the_lease_until_the_hold_is_given_up(bed: Bed, gate: Any) -> None:
    alice = bed.actor("alice")
    gate.create(alice, bed.request("alice"))
    bed.clock.advance(minutes=1)
    started = gate.start(alice, ALICE).container
    assert (started.state, started.started_at) == ("running", NOON + timedelta(minutes=1))
    bed.clock.advance(hours=1)
    stopped = gate.stop(alice, ALICE).container
    assert stopped.state == "held"
    assert stopped.stopped_at == bed.clock.time
    assert stopped.held_until == bed.clock.time + timedelta(hours=24)
    assert stopped.deadline is not None and stopped.deadline.because == "hold"
    bed.clock.advance(hours=1)
    again = gate.start(alice, ALICE).container
    assert (again.state, again.held_until, again.stopped_at) == ("running", None, None)
    assert again.gpus == started.gpus
    gate.stop(alice, ALICE)
    released = gate.release(alice, ALICE).container
    assert (released.state, released.gpus) == ("stopped", ())
    assert released.gpus_fixed == started.gpus
    assert bed.leased() == {}
    removed = gate.remove(alice, ALICE).container
    assert removed.state == "removed"
    assert bed.engine.inspect(ALICE) is None
    assert bed.records() == []
    (record,) = bed.ledger.removed()
    wanted = ["create", "start", "stop", "start", "stop", "release", "remove"]
    assert [step.trigger.value for step in record.history] == wanted
    assert gate.create(alice, bed.request("alice")).container.state == "created"


def test_the_release_keeps_when_it_stopped(bed: Bed, gate: Any) -> None:
    alice = bed.actor("alice")
    gate.create(alice, bed.request("alice"))
    gate.start(alice, ALICE)
    when = gate.stop(alice, ALICE).container.stopped_at
    bed.clock.advance(hours=2)
    assert gate.release(alice, ALICE).container.stopped_at == when


def test_a_zero_hold_frees_the_gpu_at_the_stop(bed: Bed) -> None:
    bed.set_policy(POLICY.replace("gpu_hold_after_stop: 24h", "gpu_hold_after_stop: 0s"))
    alice = bed.actor("alice")
    bed.gate.create(alice, bed.request("alice"))
    bed.gate.start(alice, ALICE)
    assert bed.gate.stop(alice, ALICE).container.state == "stopped"
    assert bed.leased() == {}


def test_a_hold_without_end_has_no_deadline(bed: Bed) -> None:
    bed.set_policy(POLICY.replace("gpu_hold_after_stop: 24h", "gpu_hold_after_stop: null"))
    alice = bed.actor("alice")
    bed.gate.create(alice, bed.request("alice"))
    bed.gate.start(alice, ALICE)
    held = bed.gate.stop(alice, ALICE).container
    assert (held.state, held.held_until, held.deadline) == ("held", None, None)


def test_stop_with_release_frees_the_gpu_and_keep_is_remembered(bed: Bed, gate: Any) -> None:
    alice = bed.actor("alice")
    gate.create(alice, bed.request("alice"))
    gate.start(alice, ALICE)
    stopped = gate.stop(alice, ALICE, release=True, keep=True).container
    assert (stopped.state, stopped.gpus) == ("stopped", ())
    assert bed.record("alice").keep


def test_stop_with_release_works_on_a_held_one(bed: Bed, gate: Any) -> None:
    alice = bed.actor("alice")
    gate.create(alice, bed.request("alice"))
    gate.start(alice, ALICE)
    gate.stop(alice, ALICE)
    again = gate.stop(alice, ALICE, release=True)
    assert (again.container.state, again.already) == ("stopped", True)
    assert bed.leased() == {}


def test_what_is_already_so_is_said_and_changes_nothing(bed: Bed, gate: Any) -> None:
    alice = bed.actor("alice")
    gate.create(alice, bed.request("alice"))
    assert gate.stop(alice, ALICE).already
    gate.start(alice, ALICE)
    assert gate.start(alice, ALICE).already
    assert gate.unpause(alice, ALICE).already
    gate.pause(alice, ALICE)
    assert gate.pause(alice, ALICE).already
    gate.stop(alice, ALICE, release=True)
    before = bed.record("alice")
    assert gate.stop(alice, ALICE).already
    assert gate.release(alice, ALICE).already
    assert bed.record("alice") == before


def test_pause_is_a_flag_and_start_and_unpause_end_it(bed: Bed, gate: Any) -> None:
    alice = bed.actor("alice")
    gate.create(alice, bed.request("alice"))
    gate.start(alice, ALICE)
    paused = gate.pause(alice, ALICE).container
    assert (paused.state, paused.paused, len(paused.gpus)) == ("running", True, 1)
    assert not gate.unpause(alice, ALICE).container.paused
    gate.pause(alice, ALICE)
    resumed = gate.start(alice, ALICE)
    assert (resumed.container.state, resumed.container.paused) == ("running", False)
    gate.pause(alice, ALICE)
    stopped = gate.stop(alice, ALICE).container
    assert (stopped.state, stopped.paused) == ("held", False)
    assert steps(bed) == ["create", "start", "stop"]


@pytest.mark.parametrize("state", ["created", "held", "stopped"])
def test_what_does_not_run_can_be_neither_paused_nor_entered(bed: Bed, gate: Any, state: str) -> None:
    alice = bed.actor("alice")
    gate.create(alice, bed.request("alice"))
    if state != "created":
        gate.start(alice, ALICE)
        gate.stop(alice, ALICE, release=state == "stopped")
    for act in (gate.pause, gate.unpause):
        with pytest.raises(InvalidState) as caught:
            act(alice, ALICE)
        assert caught.value.exit_code == 6
    from ds01.engines.protocol import ExecRequest

    with pytest.raises(InvalidState):
        gate.exec(alice, ALICE, ExecRequest(("bash",), "0:0"))


def test_what_runs_is_not_released_removed_or_made_anew(bed: Bed, gate: Any) -> None:
    alice = bed.actor("alice")
    gate.create(alice, bed.request("alice"))
    gate.start(alice, ALICE)
    for act in (
        lambda: gate.release(alice, ALICE),
        lambda: gate.remove(alice, ALICE),
        lambda: gate.start(alice, ALICE, recreate=True),
    ):
        with pytest.raises(InvalidState) as caught:
            act()
        assert caught.value.exit_code == 6
    assert bed.record("alice").state is State.RUNNING
    assert len(bed.leased()) == 1


def test_remove_by_force_is_a_stop_and_a_remove(bed: Bed, gate: Any) -> None:
    alice = bed.actor("alice")
    gate.create(alice, bed.request("alice"))
    gate.start(alice, ALICE)
    gate.remove(alice, ALICE, force=True)
    (record,) = bed.ledger.removed()
    assert [step.trigger.value for step in record.history] == ["create", "start", "stop", "remove"]
    assert bed.leased() == {}


def test_the_own_tag_comes_and_goes_with_the_container(bed: Bed, gate: Any) -> None:
    alice = bed.actor("alice")
    gate.create(alice, bed.request("alice", image="pytorch/pytorch:2.5"))
    tag = bed.record("alice").own_tag
    assert tag == f"pytorch/pytorch:{ALICE}"
    assert bed.engine.image(tag) is not None
    assert bed.record("alice").image == "pytorch/pytorch:2.5"
    gate.remove(alice, ALICE)
    assert bed.engine.image(tag) is None
    assert bed.engine.image("pytorch/pytorch:2.5") is not None


def test_remove_with_images_takes_the_owners_own_image_only(bed: Bed, gate: Any) -> None:
    alice = bed.actor("alice")
    bed.engine.tag("any/image", "ds01-70001/thesis:latest")
    gate.create(alice, bed.request("alice", image="ds01-70001/thesis:latest"))
    gate.create(alice, bed.request("alice", "other", 0, image="ds01-70001/thesis"))  # the same, spelled otherwise
    (said,) = gate.remove(alice, ALICE, images=True).warnings
    assert "other" in said and bed.engine.image("ds01-70001/thesis:latest") is not None
    assert not gate.remove(alice, bed.full("alice", "other"), images=True).warnings
    assert bed.engine.image("ds01-70001/thesis:latest") is None
    gate.create(alice, bed.request("alice"))
    assert gate.remove(alice, ALICE, images=True).warnings
    assert bed.engine.image("pytorch/pytorch") is not None


def test_an_absent_image_or_container_is_exit_code_five(bed: Bed, gate: Any) -> None:
    alice = bed.actor("alice")
    with pytest.raises(NotFound) as caught:
        gate.create(alice, bed.request("alice", image="absent/image"))
    assert caught.value.exit_code == 5
    for act in (gate.start, gate.stop, gate.remove, gate.pause, gate.unpause, gate.release):
        with pytest.raises(NotFound):
            act(alice, "nothing._.70001")
    assert bed.records() == []


def test_plan_says_what_create_does_and_changes_nothing(bed: Bed, gate: Any) -> None:
    alice = bed.actor("alice")
    plan = gate.plan(alice, bed.request("alice"))
    assert plan.refusal is None and plan.image_there
    assert bed.records() == [] and bed.engine.containers() == []
    assert "--cpus=8" in plan.arguments
    gate.create(alice, bed.request("alice"))
    assert plan.slots == bed.record("alice").gpus_fixed
    seen = bed.engine.inspect(ALICE)
    assert plan.spec is not None and seen is not None and seen.spec is not None
    differ = {"ds01.id", "ds01.created"}
    assert {key: value for key, value in plan.spec.labels.items() if key not in differ} == {
        key: value for key, value in seen.spec.labels.items() if key not in differ
    }
    assert plan.spec.device_uuids == seen.spec.device_uuids
    absent = gate.plan(alice, bed.request("alice", "second", image="remote/image"))
    assert not absent.image_there and absent.spec is None and absent.slots


def test_a_plan_leaves_a_create_in_progress_alone(bed: Bed) -> None:
    alice = bed.actor("alice")
    other = bed.another_gate()
    planned = []

    class Planning(type(bed.engine)):  # type: ignore[misc]
        def put_archive(self, reference: str, folder: str, archive: bytes) -> None:
            with pytest.raises(InvalidState):
                other.plan(alice, bed.request("alice"))
            other.containers(alice)
            other.reconcile(alice)
            planned.append(reference)
            super().put_archive(reference, folder, archive)

    engine = Planning(bed.engine.store.path, clock=bed.clock)
    made = bed.another_gate(engine=engine).create(alice, bed.request("alice"))
    assert planned
    assert made.container.state == "created"
    assert bed.engine.inspect(ALICE) is not None
    assert bed.record("alice").docker_id == made.container.docker_id


def test_resolve_takes_the_exact_spelling_then_the_folded_one(bed: Bed, gate: Any) -> None:
    alice, bob = bed.actor("alice"), bed.actor("bob")
    gate.create(alice, bed.request("alice", "my-thesis", 0))
    for spelt in ("my-thesis", "My Thesis", "my-thesis._.70001"):
        assert gate.resolve(alice, spelt) == "my-thesis._.70001"
    for who, spelt in ((bob, "my-thesis"), (bob, "my-thesis._.70001"), (alice, "none"), (alice, "../x")):
        with pytest.raises(NotFound):
            gate.resolve(who, spelt)
    assert gate.resolve(bed.actor("boss"), "my-thesis", owner=70001) == "my-thesis._.70001"
    assert gate.resolve(bed.actor("boss"), "my-thesis._.70001") == "my-thesis._.70001"


def test_lists_show_ones_own_everybodys_or_everything(bed: Bed, gate: Any) -> None:
    alice, bob = bed.actor("alice"), bed.actor("bob")
    gate.create(alice, bed.request("alice"))
    gate.create(bob, bed.request("bob"))
    gate.create(bob, bed.request("bob", "old", 0))
    gate.remove(bob, bed.full("bob", "old"))
    bed.engine.add_foreign("monitoring")
    assert [item.user for item in gate.containers(alice)] == ["alice"]
    assert [item.name for item in gate.containers(alice, owner=70002)] == ["thesis"]
    assert {item.user for item in gate.containers(alice, all_users=True)} == {"alice", "bob"}
    everything = gate.containers(bob, everything=True)
    assert [(item.name, item.state) for item in everything] == [
        ("thesis", "created"), ("monitoring", "running"), ("old", "removed"),
    ]  # fmt: skip


def test_the_gpu_table_says_what_stands_on_each_slot(bed: Bed, gate: Any) -> None:
    alice, bob = bed.actor("alice"), bed.actor("bob")
    gate.create(alice, bed.request("alice"))
    gate.create(bob, bed.request("bob"))
    gate.start(bob, bed.full("bob"))
    gate.stop(bob, bed.full("bob"))
    status = gate.gpus(alice)
    assert {row.slot: (row.state, row.user) for row in status.slots} == {
        "0": ("free", None), "1:0": ("leased", "alice"), "1:1": ("held", "bob"), "1:2": ("free", None),
    }  # fmt: skip
    assert status.simulated


def test_limits_usage_sizes_and_processes_are_plain_data(bed: Bed, gate: Any) -> None:
    alice = bed.actor("alice")
    gate.create(alice, bed.request("alice"))
    gate.start(alice, ALICE)
    bed.engine.spawn(ALICE, "python train.py")
    assert gate.processes(alice, ALICE) == 1
    assert gate.limits(alice).limits.limits.max_mig_instances == 2
    assert gate.limits(alice, owner=70009).limits.limits.max_mig_instances is None
    (usage,) = gate.usage(alice, (ALICE,))
    assert (usage.name, usage.memory_limit_bytes) == ("thesis", 32 << 30)
    (sized,) = gate.sizes(alice, (ALICE,))
    assert sized.bytes == 0
    assert gate.image_is_there(alice, "pytorch/pytorch")
    assert not gate.image_is_there(alice, "absent/x")
    assert gate.own_images(alice) == ()


def test_a_program_inside_runs_as_the_owner_whatever_was_asked(bed: Bed, gate: Any) -> None:
    import os

    from ds01.engines.protocol import ExecRequest

    alice = bed.actor("alice")
    gate.create(alice, bed.request("alice"))
    gate.start(alice, ALICE)
    asked = []
    attach = bed.engine.attach
    bed.engine.attach = lambda reference, what: asked.append(what) or attach(reference, what)  # type: ignore
    attachment = gate.exec(alice, ALICE, ExecRequest(("bash",), "0:0"))
    try:
        assert asked[0].user == "70001:70001"
        assert gate.exit_code(alice, attachment.session) == 0
        assert gate.resize(alice, attachment.session, rows=10, columns=20) is None
        assert os.read(attachment.fileno, 4096)
    finally:
        os.close(attachment.fileno)


def test_root_inside_is_uid_0_with_a_home_of_its_own(bed: Bed, gate: Any) -> None:
    alice, asked = bed.actor("alice"), executed(bed)
    gate.create(alice, bed.request("alice"))
    gate.start(alice, ALICE)
    os.close(gate.exec(alice, ALICE, ExecRequest(("id",), "", environment={"TERM": "xterm"}), root=True).fileno)
    assert asked[0].user == "0:0"
    assert asked[0].environment == {"HOME": "/root", "USER": "root", "LOGNAME": "root", "TERM": "xterm"}


def test_root_inside_is_the_policys_to_forbid(bed: Bed, gate: Any) -> None:
    alice, asked = bed.actor("alice"), executed(bed)
    gate.create(alice, bed.request("alice"))
    gate.start(alice, ALICE)
    bed.set_policy("groups: {students: {members: [alice], root_inside: false}}\n")
    with pytest.raises(PermissionDenied) as caught:
        bed.gate.exec(alice, ALICE, ExecRequest(("id",), ""), root=True)
    assert "root_inside" in (caught.value.why or "") and "groups.students" in (caught.value.why or "")
    assert asked == []


def test_a_terminal_that_the_image_does_not_know_becomes_one_it_does(bed: Bed, gate: Any) -> None:
    alice, asked = bed.actor("alice"), executed(bed)
    gate.create(alice, bed.request("alice"))
    gate.start(alice, ALICE)
    kitty = ExecRequest(("sh",), "", environment={"TERM": "xterm-kitty"})
    for tty in (True, False):
        os.close(gate.exec(alice, ALICE, replace(kitty, tty=tty)).fileno)
    assert [what.environment["TERM"] for what in asked] == ["xterm-256color", "xterm-kitty"]


def executed(bed: Bed) -> list[ExecRequest]:
    """The programs that the engine is asked to start from now on."""
    asked: list[ExecRequest] = []
    attach = bed.engine.attach
    bed.engine.attach = lambda reference, what: asked.append(what) or attach(reference, what)  # type: ignore
    return asked


def test_a_pull_is_a_stream_whose_error_comes_as_one(bed: Bed, gate: Any) -> None:
    alice = bed.actor("alice")
    items = list(gate.pull(alice, "remote/image"))
    assert items[-1].text and any(item.total for item in items)
    assert gate.image_is_there(alice, "remote/image")
    with pytest.raises(EngineNotFound):
        list(gate.pull(alice, "absent/image"))


def test_closing_a_pull_cancels_it(bed: Bed, gate: Any) -> None:
    pull = gate.pull(bed.actor("alice"), "remote/image")
    next(pull)
    pull.close()
    assert not gate.image_is_there(bed.actor("alice"), "remote/image")


def test_mark_says_already_or_refuses_when_docker_disagrees(bed: Bed, gate: Any) -> None:
    alice = bed.actor("alice")
    gate.create(alice, bed.request("alice"))
    assert gate.mark(alice, ALICE, Trigger.STOP).already
    with pytest.raises(InvalidState):
        gate.mark(alice, ALICE, Trigger.START)
    gate.start(alice, ALICE)
    with pytest.raises(InvalidState):
        gate.mark(alice, ALICE, Trigger.STOP)
    bed.engine.stop(ALICE, grace=0)
    assert gate.mark(alice, ALICE, Trigger.STOP).container.state == "held"


def test_every_step_is_an_event_with_its_actor(bed: Bed) -> None:
    alice = bed.actor("alice")
    bed.gate.create(alice, bed.request("alice"))
    bed.gate.start(bed.actor("boss"), ALICE)
    bed.gate.stop(alice, ALICE)
    bed.gate.remove(alice, ALICE)
    transitions = [facts for kind, facts in bed.events if kind == "transition"]
    assert [(facts["trigger"], facts["actor"], facts["user"]) for facts in transitions] == [
        ("create", "alice", "alice"), ("start", "boss", "alice"), ("stop", "alice", "alice"),
        ("remove", "alice", "alice"),
    ]  # fmt: skip
