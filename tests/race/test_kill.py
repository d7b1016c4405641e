"""A process killed anywhere in a command leaves a legal state, and the command works when it is repeated."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from ds01.engines.protocol import Devices
from ds01.errors import Ds01Error
from ds01.gpus.model import GpuRequest
from ds01.records.state_machine import State
from tests import aime_containers, invariants
from tests.actions import create, recreate, remake, remove, start, stop, stop_and_release
from tests.client import Client
from tests.fault_injection import (
    CHANGING_CALLS,
    FaultyEngine,
    StepCounter,
    count_commits_as_steps,
    kill_self,
    was_killed,
)
from tests.harness import Harness

ALICE_THESIS, BOB_THESIS, ALICE_MANUAL = "thesis._.70001", "thesis._.70002", "hand._.70001"
Act = Callable[[Client, Harness], Any]


def release(gate: Client, harness: Harness) -> Any:
    return gate.release(harness.actor("alice"), ALICE_THESIS)


def allocate(gate: Client, harness: Harness) -> Any:
    return gate.allocate(harness.actor("boss"), 70001, "hand", GpuRequest(1))


def release_by_hand(gate: Client, harness: Harness) -> Any:
    return gate.release(harness.actor("boss"), ALICE_MANUAL)


def bob_takes_it(gate: Client, harness: Harness) -> Any:
    return gate.create(harness.actor("bob"), harness.request("bob"))


def theirs(gate: Client, harness: Harness) -> Any:
    return aime_containers.create(
        harness, name="thesis", devices=Devices((harness.uuid["0"],), form="device_request"), start=True
    )


def adopt(gate: Client, harness: Harness) -> Any:
    return gate.adopt(harness.actor("alice"), ALICE_THESIS)


# What comes before, the command, the state that it leads to, and what it would be called with again.
ACTS: dict[str, tuple[tuple[Act, ...], Act, State]] = {
    "create": ((), create, State.CREATED),
    "start": ((create,), start, State.RUNNING),
    "start of a held one": ((create, start, stop), start, State.RUNNING),
    "start of a stopped one": ((create, start, stop_and_release), start, State.RUNNING),
    "stop": ((create, start), stop, State.HELD),
    "stop and release": ((create, start), stop_and_release, State.STOPPED),
    "release": ((create, start, stop), release, State.STOPPED),
    "remove": ((create, start, stop), remove, State.REMOVED),
    "remove by force": ((create, start), remove, State.REMOVED),
    "recreate": ((create, start, stop_and_release), recreate, State.RUNNING),
    "recreate of a held one": ((create, start, stop), recreate, State.RUNNING),
    "recreate elsewhere": ((create, start, stop_and_release, bob_takes_it), recreate, State.RUNNING),
    "remake": ((create, start), remake, State.RUNNING),
    "allocate": ((), allocate, State.RUNNING),
    "adopt": ((theirs,), adopt, State.RUNNING),
    "release by hand": ((allocate,), release_by_hand, State.REMOVED),
}


def killed(harness: Harness, command: Act, at: int, *, after: bool) -> bool:
    """Whether a child that runs the command was killed at its step number `at`."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            steps = StepCounter(at, kill_self, after=after)
            count_commits_as_steps(steps, setattr)
            command(harness.another_gate(engine=FaultyEngine(harness.engine, steps, CHANGING_CALLS)), harness)
            code = 0
        finally:
            os._exit(code)
    return was_killed(child)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("act", ACTS)
def test_a_kill_at_any_step_leaves_a_legal_state(harness: Harness, act: str, after: bool) -> None:
    before, command, wanted = ACTS[act]
    name = ALICE_MANUAL if "hand" in act or act == "allocate" else ALICE_THESIS
    for at in range(40):
        for earlier in before:
            earlier(harness.gate, harness)
        died = killed(harness, command, at, after=after)
        invariants.check(harness)
        harness.another_gate().reconcile(harness.actor("root"))
        invariants.check_settled(harness)
        if died:
            again(harness, command, name)
        left = [record for record in harness.records() if record.container_name == name]
        assert [record.state for record in left] == ([] if wanted is State.REMOVED else [wanted])
        invariants.check_settled(harness)
        clean(harness)
        if not died:
            assert at > 0
            return
        harness.clock.advance(seconds=1)
    pytest.fail("it never came to its end")


def again(harness: Harness, command: Act, name: str) -> None:
    """The command once more. It may be done already; and what it was for may be gone, if the kill came last."""
    gate = harness.another_gate()
    exists = any(record.container_name == name for record in harness.records())
    if not exists and command not in (create, allocate, adopt):
        assert command in (remove, release_by_hand)
        return
    if exists and command in (create, allocate):
        return
    if command is recreate and harness.record("alice").state is State.RUNNING:
        return
    command(gate, harness)
    if command is remake:  # a container that was stopped at the kill is created again as stopped
        start(gate, harness)


def clean(harness: Harness) -> None:
    for record in harness.records():
        if record.origin.value == "manual":
            harness.gate.release(harness.actor("boss"), record.container_name)
        else:
            harness.gate.remove(harness.actor("root"), record.container_name, force=True)
    assert harness.engine.containers() == []
    assert harness.leased() == {}


def test_the_lock_of_who_was_killed_is_free(harness: Harness) -> None:
    create(harness.gate, harness)
    assert killed(harness, start, 0, after=True)
    assert harness.ledger.container_lock_is_free(ALICE_THESIS)


def test_slot_of_a_killed_create_is_not_given_away(harness: Harness) -> None:
    """The incomplete container could still be started outside ds01."""
    assert killed(harness, create, 3, after=True)
    with harness.ledger.container_lock(ALICE_THESIS, doing="being looked at"):
        given = harness.gate.create(harness.actor("bob"), harness.request("bob", gpus=2)).container.gpus
        assert harness.uuid["1:0"] not in {slot.uuid for slot in given}


def test_killed_recreate_never_runs_on_unleased_slots(harness: Harness) -> None:
    """Killed between the new lease and the end of the old container, which somebody then starts by hand."""
    for earlier in (create, start, stop):
        earlier(harness.gate, harness)
    harness.set_policy("gpu_allocation: {prefer: full}\n" + PLAIN)
    assert killed(harness, recreate, 0, after=True)  # the first commit: the lease that it is to have
    with harness.ledger.container_lock(ALICE_THESIS, doing="being looked at"):
        given = harness.gate.create(harness.actor("bob"), harness.request("bob", gpus=2)).container.gpus
        assert [slot.slot for slot in given] == ["1:1", "1:2"]
    harness.engine.start(ALICE_THESIS)
    harness.gate.reconcile(harness.actor("root"))
    record = harness.record("alice")
    assert record.state is State.RUNNING
    assert record.slots == tuple(ref.slot for ref in record.gpus_fixed) == ("1:0",)
    assert len(harness.leased()) == 3
    invariants.check_settled(harness)


@pytest.mark.parametrize("call", ["remove", "rename"])
def test_kill_after_the_old_container_is_gone_keeps_the_new_one(harness: Harness, call: str) -> None:
    create(harness.gate, harness)
    before = harness.record("alice")
    child = os.fork()
    if child == 0:
        try:
            engine = FaultyEngine(harness.engine, StepCounter(0, kill_self, after=True), (call,))
            recreate(harness.another_gate(engine=engine), harness)
        finally:
            os._exit(1)
    assert was_killed(child)
    changes = harness.another_gate().reconcile(harness.actor("root"))
    assert [change.what for change in changes] == ["created again"]
    invariants.check_settled(harness)
    after = harness.record("alice")
    assert (after.request, after.state) == (before.request, State.CREATED)
    assert after.id != before.id and after.lease is not None


PLAIN = "defaults: {max_mig_instances: 2, max_gpus_per_container: 2}\n"


def test_next_command_archives_a_leftover_removed_record(harness: Harness) -> None:
    create(harness.gate, harness)
    steps = 0
    while (
        not killed(harness, remove, steps, after=False)
        or harness.engine.inspect(ALICE_THESIS)
        or not _says_removed(harness)
    ):
        steps += 1
        assert steps < 20
        if not harness.record_file("alice").exists():
            create(harness.gate, harness)
    identity = harness.record_file("alice").read_text().split('"id": "')[1][:32]
    create(harness.gate, harness)
    assert [record.id for record in harness.ledger.removed()].count(identity) == 1
    assert harness.record("alice").id != identity


def _says_removed(harness: Harness) -> bool:
    path = harness.record_file("alice")
    return path.exists() and '"state": "removed"' in path.read_text()


def test_errors_in_the_child_would_show(harness: Harness) -> None:
    with pytest.raises(AssertionError):
        killed(harness, start, 0, after=False)
    with pytest.raises(Ds01Error):
        start(harness.gate, harness)


@pytest.mark.parametrize("at", [0, 1, 2])
def test_killed_adoption_is_completed_by_the_next_reconcile(harness: Harness, at: int) -> None:
    harness.set_policy(PLAIN.replace("{", "{pids_limit: 77, "))
    theirs(harness.gate, harness)
    assert killed(harness, adopt, at, after=True)  # the record, the limits, the outcome
    assert harness.leased() == {harness.uuid["0"]: ALICE_THESIS}
    with harness.ledger.container_lock(
        ALICE_THESIS, doing="being looked at"
    ):  # the slot is free until the next reconcile
        given = harness.gate.create(harness.actor("bob"), harness.request("bob", gpus=2)).container.gpus
        assert harness.uuid["0"] not in {slot.uuid for slot in given}
    harness.another_gate().reconcile(harness.actor("root"))
    seen = harness.engine.inspect(ALICE_THESIS)
    assert seen is not None and seen.spec is not None and seen.spec.pids_limit == 77
    assert (harness.record("alice").pending, harness.record("alice").state) == (None, State.RUNNING)
