"""A container's life through the gate, directly and through JSON."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ds01.engines.protocol import ExecRequest
from ds01.errors import EngineNotFound, InvalidState, NotFound, PermissionDenied
from ds01.records.state_machine import State, Trigger
from tests.harness import NOON, POLICY, Harness

ALICE_THESIS = "thesis._.70001"


def steps(harness: Harness, login: str = "alice") -> list[str]:
    return [step.trigger.value for step in harness.record(login).history]


def test_a_container_is_created_with_its_lease_and_does_not_run(harness: Harness, gate: Any) -> None:
    made = gate.create(harness.actor("alice"), harness.request("alice"))
    assert (made.container.state, made.container.container, made.already) == ("created", ALICE_THESIS, False)
    assert [slot.slot for slot in made.container.gpus] == ["1:0"]
    assert made.container.gpus == made.container.gpus_fixed
    seen = harness.engine.inspect(ALICE_THESIS)
    assert seen is not None
    assert not seen.status.has_processes
    assert seen.devices is not None
    assert seen.devices.ids == (harness.uuid["1:0"],)
    record = harness.record("alice")
    assert (record.docker_id, record.pending, record.gpu_id) == (seen.id, None, "1:0")
    assert record.id == seen.labels["ds01.id"]


def test_cpu_only_gets_no_device_and_no_lease(harness: Harness, gate: Any) -> None:
    made = gate.create(harness.actor("alice"), harness.request("alice", gpus=0))
    assert made.container.gpus == ()
    assert harness.leased() == {}
    seen = harness.engine.inspect(ALICE_THESIS)
    assert seen is not None and seen.spec is not None
    assert not seen.devices
    assert seen.spec.environment["NVIDIA_VISIBLE_DEVICES"] == "void"
    assert gate.start(harness.actor("alice"), ALICE_THESIS).container.state == "running"
    assert gate.stop(harness.actor("alice"), ALICE_THESIS).container.state == "stopped"


def test_lease_is_kept_until_the_hold_is_released(harness: Harness, gate: Any) -> None:
    alice = harness.actor("alice")
    gate.create(alice, harness.request("alice"))
    harness.clock.advance(minutes=1)
    started = gate.start(alice, ALICE_THESIS).container
    assert (started.state, started.started_at) == ("running", NOON + timedelta(minutes=1))
    harness.clock.advance(hours=1)
    stopped = gate.stop(alice, ALICE_THESIS).container
    assert stopped.state == "held"
    assert stopped.stopped_at == harness.clock.time
    assert stopped.held_until == harness.clock.time + timedelta(hours=24)
    assert stopped.deadline is not None and stopped.deadline.because == "hold"
    harness.clock.advance(hours=1)
    again = gate.start(alice, ALICE_THESIS).container
    assert (again.state, again.held_until, again.stopped_at) == ("running", None, None)
    assert again.gpus == started.gpus
    gate.stop(alice, ALICE_THESIS)
    released = gate.release(alice, ALICE_THESIS).container
    assert (released.state, released.gpus) == ("stopped", ())
    assert released.gpus_fixed == started.gpus
    assert harness.leased() == {}
    removed = gate.remove(alice, ALICE_THESIS).container
    assert removed.state == "removed"
    assert harness.engine.inspect(ALICE_THESIS) is None
    assert harness.records() == []
    (record,) = harness.ledger.removed()
    wanted = ["create", "start", "stop", "start", "stop", "release", "remove"]
    assert [step.trigger.value for step in record.history] == wanted
    assert gate.create(alice, harness.request("alice")).container.state == "created"


def test_the_release_keeps_when_it_stopped(harness: Harness, gate: Any) -> None:
    alice = harness.actor("alice")
    gate.create(alice, harness.request("alice"))
    gate.start(alice, ALICE_THESIS)
    when = gate.stop(alice, ALICE_THESIS).container.stopped_at
    harness.clock.advance(hours=2)
    assert gate.release(alice, ALICE_THESIS).container.stopped_at == when


def test_a_zero_hold_frees_the_gpu_at_the_stop(harness: Harness) -> None:
    harness.set_policy(POLICY.replace("gpu_hold_after_stop: 24h", "gpu_hold_after_stop: 0s"))
    alice = harness.actor("alice")
    harness.gate.create(alice, harness.request("alice"))
    harness.gate.start(alice, ALICE_THESIS)
    assert harness.gate.stop(alice, ALICE_THESIS).container.state == "stopped"
    assert harness.leased() == {}


def test_a_hold_without_end_has_no_deadline(harness: Harness) -> None:
    harness.set_policy(POLICY.replace("gpu_hold_after_stop: 24h", "gpu_hold_after_stop: null"))
    alice = harness.actor("alice")
    harness.gate.create(alice, harness.request("alice"))
    harness.gate.start(alice, ALICE_THESIS)
    held = harness.gate.stop(alice, ALICE_THESIS).container
    assert (held.state, held.held_until, held.deadline) == ("held", None, None)


def test_stop_with_release_frees_the_gpu_and_keep_is_remembered(harness: Harness, gate: Any) -> None:
    alice = harness.actor("alice")
    gate.create(alice, harness.request("alice"))
    gate.start(alice, ALICE_THESIS)
    stopped = gate.stop(alice, ALICE_THESIS, release=True, keep=True).container
    assert (stopped.state, stopped.gpus) == ("stopped", ())
    assert harness.record("alice").keep


def test_stop_with_release_works_on_a_held_one(harness: Harness, gate: Any) -> None:
    alice = harness.actor("alice")
    gate.create(alice, harness.request("alice"))
    gate.start(alice, ALICE_THESIS)
    gate.stop(alice, ALICE_THESIS)
    again = gate.stop(alice, ALICE_THESIS, release=True)
    assert (again.container.state, again.already) == ("stopped", True)
    assert harness.leased() == {}


def test_no_op_succeeds_and_says_so(harness: Harness, gate: Any) -> None:
    alice = harness.actor("alice")
    gate.create(alice, harness.request("alice"))
    assert gate.stop(alice, ALICE_THESIS).already
    gate.start(alice, ALICE_THESIS)
    assert gate.start(alice, ALICE_THESIS).already
    assert gate.unpause(alice, ALICE_THESIS).already
    gate.pause(alice, ALICE_THESIS)
    assert gate.pause(alice, ALICE_THESIS).already
    gate.stop(alice, ALICE_THESIS, release=True)
    before = harness.record("alice")
    assert gate.stop(alice, ALICE_THESIS).already
    assert gate.release(alice, ALICE_THESIS).already
    assert harness.record("alice") == before


def test_pause_is_a_flag_and_start_and_unpause_end_it(harness: Harness, gate: Any) -> None:
    alice = harness.actor("alice")
    gate.create(alice, harness.request("alice"))
    gate.start(alice, ALICE_THESIS)
    paused = gate.pause(alice, ALICE_THESIS).container
    assert (paused.state, paused.paused, len(paused.gpus)) == ("running", True, 1)
    assert not gate.unpause(alice, ALICE_THESIS).container.paused
    gate.pause(alice, ALICE_THESIS)
    resumed = gate.start(alice, ALICE_THESIS)
    assert (resumed.container.state, resumed.container.paused) == ("running", False)
    gate.pause(alice, ALICE_THESIS)
    stopped = gate.stop(alice, ALICE_THESIS).container
    assert (stopped.state, stopped.paused) == ("held", False)
    assert steps(harness) == ["create", "start", "stop"]


@pytest.mark.parametrize("state", ["created", "held", "stopped"])
def test_what_does_not_run_can_be_neither_paused_nor_entered(harness: Harness, gate: Any, state: str) -> None:
    alice = harness.actor("alice")
    gate.create(alice, harness.request("alice"))
    if state != "created":
        gate.start(alice, ALICE_THESIS)
        gate.stop(alice, ALICE_THESIS, release=state == "stopped")
    for act in (gate.pause, gate.unpause):
        with pytest.raises(InvalidState) as caught:
            act(alice, ALICE_THESIS)
        assert caught.value.exit_code == 6
    from ds01.engines.protocol import ExecRequest

    with pytest.raises(InvalidState):
        gate.exec(alice, ALICE_THESIS, ExecRequest(("bash",), "0:0"))


def test_running_container_is_not_released_or_removed(harness: Harness, gate: Any) -> None:
    alice = harness.actor("alice")
    gate.create(alice, harness.request("alice"))
    gate.start(alice, ALICE_THESIS)
    for act in (
        lambda: gate.release(alice, ALICE_THESIS),
        lambda: gate.remove(alice, ALICE_THESIS),
        lambda: gate.start(alice, ALICE_THESIS, recreate=True),
    ):
        with pytest.raises(InvalidState) as caught:
            act()
        assert caught.value.exit_code == 6
    assert harness.record("alice").state is State.RUNNING
    assert len(harness.leased()) == 1


def test_remove_by_force_is_a_stop_and_a_remove(harness: Harness, gate: Any) -> None:
    alice = harness.actor("alice")
    gate.create(alice, harness.request("alice"))
    gate.start(alice, ALICE_THESIS)
    gate.remove(alice, ALICE_THESIS, force=True)
    (record,) = harness.ledger.removed()
    assert [step.trigger.value for step in record.history] == ["create", "start", "stop", "remove"]
    assert harness.leased() == {}


def test_the_own_tag_comes_and_goes_with_the_container(harness: Harness, gate: Any) -> None:
    alice = harness.actor("alice")
    gate.create(alice, harness.request("alice", image="pytorch/pytorch:2.5"))
    tag = harness.record("alice").own_tag
    assert tag == f"pytorch/pytorch:{ALICE_THESIS}"
    assert harness.engine.image(tag) is not None
    assert harness.record("alice").image == "pytorch/pytorch:2.5"
    gate.remove(alice, ALICE_THESIS)
    assert harness.engine.image(tag) is None
    assert harness.engine.image("pytorch/pytorch:2.5") is not None


def test_remove_with_images_takes_the_owners_own_image_only(harness: Harness, gate: Any) -> None:
    alice = harness.actor("alice")
    harness.engine.tag("any/image", "ds01-70001/thesis:latest")
    gate.create(alice, harness.request("alice", image="ds01-70001/thesis:latest"))
    gate.create(alice, harness.request("alice", "other", 0, image="ds01-70001/thesis"))  # the same, spelled otherwise
    (said,) = gate.remove(alice, ALICE_THESIS, images=True).warnings
    assert "other" in said and harness.engine.image("ds01-70001/thesis:latest") is not None
    assert not gate.remove(alice, harness.full("alice", "other"), images=True).warnings
    assert harness.engine.image("ds01-70001/thesis:latest") is None
    gate.create(alice, harness.request("alice"))
    assert gate.remove(alice, ALICE_THESIS, images=True).warnings
    assert harness.engine.image("pytorch/pytorch") is not None


def test_an_absent_image_or_container_is_exit_code_five(harness: Harness, gate: Any) -> None:
    alice = harness.actor("alice")
    with pytest.raises(NotFound) as caught:
        gate.create(alice, harness.request("alice", image="absent/image"))
    assert caught.value.exit_code == 5
    for act in (gate.start, gate.stop, gate.remove, gate.pause, gate.unpause, gate.release):
        with pytest.raises(NotFound):
            act(alice, "nothing._.70001")
    assert harness.records() == []


def test_plan_says_what_create_does_and_changes_nothing(harness: Harness, gate: Any) -> None:
    alice = harness.actor("alice")
    plan = gate.plan(alice, harness.request("alice"))
    assert plan.refusal is None and plan.image_there
    assert harness.records() == [] and harness.engine.containers() == []
    assert "--cpus=8" in plan.arguments
    gate.create(alice, harness.request("alice"))
    assert plan.slots == harness.record("alice").gpus_fixed
    seen = harness.engine.inspect(ALICE_THESIS)
    assert plan.spec is not None and seen is not None and seen.spec is not None
    differ = {"ds01.id", "ds01.created"}
    assert {key: value for key, value in plan.spec.labels.items() if key not in differ} == {
        key: value for key, value in seen.spec.labels.items() if key not in differ
    }
    assert plan.spec.device_uuids == seen.spec.device_uuids
    absent = gate.plan(alice, harness.request("alice", "second", image="remote/image"))
    assert not absent.image_there and absent.spec is None and absent.slots


def test_a_plan_leaves_a_create_in_progress_alone(harness: Harness) -> None:
    alice = harness.actor("alice")
    other = harness.another_gate()
    planned = []

    class Planning(type(harness.engine)):  # type: ignore[misc]
        def put_archive(self, reference: str, folder: str, archive: bytes) -> None:
            with pytest.raises(InvalidState):
                other.plan(alice, harness.request("alice"))
            other.containers(alice)
            other.reconcile(alice)
            planned.append(reference)
            super().put_archive(reference, folder, archive)

    engine = Planning(harness.engine.store.path, clock=harness.clock)
    made = harness.another_gate(engine=engine).create(alice, harness.request("alice"))
    assert planned
    assert made.container.state == "created"
    assert harness.engine.inspect(ALICE_THESIS) is not None
    assert harness.record("alice").docker_id == made.container.docker_id


def test_resolve_takes_the_exact_spelling_then_the_folded_one(harness: Harness, gate: Any) -> None:
    alice, bob = harness.actor("alice"), harness.actor("bob")
    gate.create(alice, harness.request("alice", "my-thesis", 0))
    for spelt in ("my-thesis", "My Thesis", "my-thesis._.70001"):
        assert gate.resolve(alice, spelt) == "my-thesis._.70001"
    for who, spelt in ((bob, "my-thesis"), (bob, "my-thesis._.70001"), (alice, "none"), (alice, "../x")):
        with pytest.raises(NotFound):
            gate.resolve(who, spelt)
    assert gate.resolve(harness.actor("boss"), "my-thesis", owner=70001) == "my-thesis._.70001"
    assert gate.resolve(harness.actor("boss"), "my-thesis._.70001") == "my-thesis._.70001"


def test_lists_show_ones_own_everybodys_or_everything(harness: Harness, gate: Any) -> None:
    alice, bob = harness.actor("alice"), harness.actor("bob")
    gate.create(alice, harness.request("alice"))
    gate.create(bob, harness.request("bob"))
    gate.create(bob, harness.request("bob", "old", 0))
    gate.remove(bob, harness.full("bob", "old"))
    harness.engine.add_foreign("monitoring")
    assert [item.user for item in gate.containers(alice)] == ["alice"]
    assert [item.name for item in gate.containers(alice, owner=70002)] == ["thesis"]
    assert {item.user for item in gate.containers(alice, all_users=True)} == {"alice", "bob"}
    everything = gate.containers(bob, everything=True)
    assert [(item.name, item.state) for item in everything] == [
        ("thesis", "created"), ("monitoring", "running"), ("old", "removed"),
    ]  # fmt: skip


def test_the_gpu_table_says_what_stands_on_each_slot(harness: Harness, gate: Any) -> None:
    alice, bob = harness.actor("alice"), harness.actor("bob")
    gate.create(alice, harness.request("alice"))
    gate.create(bob, harness.request("bob"))
    gate.start(bob, harness.full("bob"))
    gate.stop(bob, harness.full("bob"))
    status = gate.gpus(alice)
    assert {row.slot: (row.state, row.user) for row in status.slots} == {
        "0": ("free", None), "1:0": ("leased", "alice"), "1:1": ("held", "bob"), "1:2": ("free", None),
    }  # fmt: skip
    assert status.simulated


def test_limits_usage_sizes_and_processes_are_plain_data(harness: Harness, gate: Any) -> None:
    alice = harness.actor("alice")
    gate.create(alice, harness.request("alice"))
    gate.start(alice, ALICE_THESIS)
    harness.engine.spawn(ALICE_THESIS, "python train.py")
    assert gate.processes(alice, ALICE_THESIS) == 1
    assert gate.limits(alice).limits.limits.max_mig_instances == 2
    assert gate.limits(alice, owner=70009).limits.limits.max_mig_instances is None
    (usage,) = gate.usage(alice, (ALICE_THESIS,))
    assert (usage.name, usage.memory_limit_bytes) == ("thesis", 32 << 30)
    (sized,) = gate.sizes(alice, (ALICE_THESIS,))
    assert sized.bytes == 0
    assert gate.image_is_there(alice, "pytorch/pytorch")
    assert not gate.image_is_there(alice, "absent/x")
    assert gate.own_images(alice) == ()


def test_rates_are_differences_over_the_time_between_two_looks(harness: Harness) -> None:
    alice = harness.actor("alice")
    harness.gate.create(alice, harness.request("alice"))
    harness.gate.start(alice, ALICE_THESIS)

    def work(seconds: float) -> None:
        harness.engine.set_usage(
            ALICE_THESIS, cpu_nanoseconds=10**9, network_bytes=100, io_read_bytes=3 << 20, io_write_bytes=None
        )

    harness.set_context(sleep=work)
    (usage,) = harness.gate.usage(alice, (ALICE_THESIS,), over=2.0)
    assert (usage.cpu_percent, usage.network_bytes_per_second) == (50.0, 50.0)
    assert (usage.io_read_bytes_per_second, usage.io_write_bytes_per_second) == ((3 << 20) / 2, None)


def test_a_restart_between_two_looks_leaves_rates_unknown(harness: Harness) -> None:
    alice = harness.actor("alice")
    harness.gate.create(alice, harness.request("alice"))
    harness.gate.start(alice, ALICE_THESIS)

    def restart(seconds: float) -> None:
        harness.engine.kill(ALICE_THESIS)
        harness.engine.start(ALICE_THESIS)

    harness.set_context(sleep=restart)
    (usage,) = harness.gate.usage(alice, (ALICE_THESIS,))
    assert (usage.cpu_percent, usage.io_read_bytes_per_second, usage.memory_bytes) == (None, None, 0)


def test_a_program_inside_runs_as_the_owner_whatever_was_asked(harness: Harness, gate: Any) -> None:
    import os

    from ds01.engines.protocol import ExecRequest

    alice = harness.actor("alice")
    gate.create(alice, harness.request("alice"))
    gate.start(alice, ALICE_THESIS)
    asked = []
    attach = harness.engine.attach
    harness.engine.attach = lambda reference, what: asked.append(what) or attach(reference, what)  # type: ignore
    attachment = gate.exec(alice, ALICE_THESIS, ExecRequest(("bash",), "0:0"))
    try:
        assert asked[0].user == "70001:70001"
        assert gate.exit_code(alice, attachment.session) == 0
        assert gate.resize(alice, attachment.session, rows=10, columns=20) is None
        assert os.read(attachment.fileno, 4096)
    finally:
        os.close(attachment.fileno)


def test_root_inside_is_uid_0_with_a_home_of_its_own(harness: Harness, gate: Any) -> None:
    alice, asked = harness.actor("alice"), executed(harness)
    gate.create(alice, harness.request("alice"))
    gate.start(alice, ALICE_THESIS)
    os.close(gate.exec(alice, ALICE_THESIS, ExecRequest(("id",), "", environment={"TERM": "xterm"}), root=True).fileno)
    assert asked[0].user == "0:0"
    assert asked[0].environment == {"HOME": "/root", "USER": "root", "LOGNAME": "root", "TERM": "xterm"}


def test_root_inside_is_the_policys_to_forbid(harness: Harness, gate: Any) -> None:
    alice, asked = harness.actor("alice"), executed(harness)
    gate.create(alice, harness.request("alice"))
    gate.start(alice, ALICE_THESIS)
    harness.set_policy("groups: {students: {members: [alice], root_inside: false}}\n")
    with pytest.raises(PermissionDenied) as caught:
        harness.gate.exec(alice, ALICE_THESIS, ExecRequest(("id",), ""), root=True)
    assert "root_inside" in (caught.value.why or "") and "groups.students" in (caught.value.why or "")
    assert asked == []


def test_unknown_terminal_type_is_replaced(harness: Harness, gate: Any) -> None:
    alice, asked = harness.actor("alice"), executed(harness)
    gate.create(alice, harness.request("alice"))
    gate.start(alice, ALICE_THESIS)
    kitty = ExecRequest(("sh",), "", environment={"TERM": "xterm-kitty"})
    for tty in (True, False):
        os.close(gate.exec(alice, ALICE_THESIS, replace(kitty, tty=tty)).fileno)
    assert [what.environment["TERM"] for what in asked] == ["xterm-256color", "xterm-kitty"]


def executed(harness: Harness) -> list[ExecRequest]:
    """The programs that the engine is asked to start from now on."""
    asked: list[ExecRequest] = []
    attach = harness.engine.attach
    harness.engine.attach = lambda reference, what: asked.append(what) or attach(reference, what)  # type: ignore
    return asked


def test_a_pull_is_a_stream_whose_error_comes_as_one(harness: Harness, gate: Any) -> None:
    alice = harness.actor("alice")
    items = list(gate.pull(alice, "remote/image"))
    assert items[-1].text and any(item.total for item in items)
    assert gate.image_is_there(alice, "remote/image")
    with pytest.raises(EngineNotFound):
        list(gate.pull(alice, "absent/image"))


def test_closing_a_pull_cancels_it(harness: Harness, gate: Any) -> None:
    pull = gate.pull(harness.actor("alice"), "remote/image")
    next(pull)
    pull.close()
    assert not gate.image_is_there(harness.actor("alice"), "remote/image")


def test_mark_says_already_or_refuses_when_docker_disagrees(harness: Harness, gate: Any) -> None:
    alice = harness.actor("alice")
    gate.create(alice, harness.request("alice"))
    assert gate.mark(alice, ALICE_THESIS, Trigger.STOP).already
    with pytest.raises(InvalidState):
        gate.mark(alice, ALICE_THESIS, Trigger.START)
    gate.start(alice, ALICE_THESIS)
    with pytest.raises(InvalidState):
        gate.mark(alice, ALICE_THESIS, Trigger.STOP)
    harness.engine.stop(ALICE_THESIS, grace=0)
    assert gate.mark(alice, ALICE_THESIS, Trigger.STOP).container.state == "held"


def test_every_step_is_an_event_with_its_actor(harness: Harness) -> None:
    alice = harness.actor("alice")
    harness.gate.create(alice, harness.request("alice"))
    harness.gate.start(harness.actor("boss"), ALICE_THESIS)
    harness.gate.stop(alice, ALICE_THESIS)
    harness.gate.remove(alice, ALICE_THESIS)
    transitions = [facts for kind, facts in harness.events if kind == "transition"]
    assert [(facts["trigger"], facts["actor"], facts["user"]) for facts in transitions] == [
        ("create", "alice", "alice"), ("start", "boss", "alice"), ("stop", "alice", "alice"),
        ("remove", "alice", "alice"),
    ]  # fmt: skip
