"""A process that is killed anywhere in a command leaves a legal state, and the command works when it is given again."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from ds01.engines.protocol import Devices
from ds01.errors import Ds01Error
from ds01.gpus.model import GpuRequest
from ds01.records.machine import State
from tests import aime, legal
from tests.acts import create, recreate, remake, remove, start, stop, stop_and_release
from tests.bed import Bed
from tests.client import Client
from tests.faults import CHANGES, FaultyEngine, Steps, die, was_killed, watch_commits

ALICE, BOB, HAND = "thesis._.70001", "thesis._.70002", "hand._.70001"
Act = Callable[[Client, Bed], Any]


def release(gate: Client, bed: Bed) -> Any:
    return gate.release(bed.actor("alice"), ALICE)


def allocate(gate: Client, bed: Bed) -> Any:
    return gate.allocate(bed.actor("boss"), 70001, "hand", GpuRequest(1))


def release_by_hand(gate: Client, bed: Bed) -> Any:
    return gate.release(bed.actor("boss"), HAND)


def bob_takes_it(gate: Client, bed: Bed) -> Any:
    return gate.create(bed.actor("bob"), bed.request("bob"))


def theirs(gate: Client, bed: Bed) -> Any:
    return aime.make(bed, name="thesis", devices=Devices((bed.uuid["0"],), form="device_request"), start=True)


def adopt(gate: Client, bed: Bed) -> Any:
    return gate.adopt(bed.actor("alice"), ALICE)


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


def killed(bed: Bed, command: Act, at: int, *, after: bool) -> bool:
    """Whether a child that runs the command was killed at its step number `at`."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            steps = Steps(at, die, after=after)
            watch_commits(steps, setattr)
            command(bed.another_gate(engine=FaultyEngine(bed.engine, steps, CHANGES)), bed)
            code = 0
        finally:
            os._exit(code)
    return was_killed(child)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("act", ACTS)
def test_a_kill_at_any_step_leaves_a_legal_state(bed: Bed, act: str, after: bool) -> None:
    before, command, wanted = ACTS[act]
    name = HAND if "hand" in act or act == "allocate" else ALICE
    for at in range(40):
        for earlier in before:
            earlier(bed.gate, bed)
        died = killed(bed, command, at, after=after)
        legal.check(bed)
        bed.another_gate().reconcile(bed.actor("root"))
        legal.check_settled(bed)
        if died:
            again(bed, command, name)
        left = [record for record in bed.records() if record.container_name == name]
        assert [record.state for record in left] == ([] if wanted is State.REMOVED else [wanted])
        legal.check_settled(bed)
        clean(bed)
        if not died:
            assert at > 0
            return
        bed.clock.advance(seconds=1)
    pytest.fail("it never came to its end")


def again(bed: Bed, command: Act, name: str) -> None:
    """The command once more. It may be done already; and what it was for may be gone, if the kill came last."""
    gate = bed.another_gate()
    exists = any(record.container_name == name for record in bed.records())
    if not exists and command not in (create, allocate, adopt):
        assert command in (remove, release_by_hand)
        return
    if exists and command in (create, allocate):
        return
    if command is recreate and bed.record("alice").state is State.RUNNING:
        return
    command(gate, bed)
    if command is remake:  # one that was stopped when it was killed is made anew as that, and rests
        start(gate, bed)


def clean(bed: Bed) -> None:
    for record in bed.records():
        if record.origin.value == "manual":
            bed.gate.release(bed.actor("boss"), record.container_name)
        else:
            bed.gate.remove(bed.actor("root"), record.container_name, force=True)
    assert bed.engine.containers() == []
    assert bed.leased() == {}


def test_the_lock_of_who_was_killed_is_free(bed: Bed) -> None:
    create(bed.gate, bed)
    assert killed(bed, start, 0, after=True)
    assert bed.ledger.container_lock_is_free(ALICE)


def test_while_a_killed_create_is_not_looked_at_its_slot_is_given_to_nobody(bed: Bed) -> None:
    """The half-made container could still be started behind ds01."""
    assert killed(bed, create, 3, after=True)
    with bed.ledger.container_lock(ALICE, doing="being looked at"):
        given = bed.gate.create(bed.actor("bob"), bed.request("bob", gpus=2)).container.gpus
        assert bed.uuid["1:0"] not in {slot.uuid for slot in given}


def test_a_container_that_was_to_be_made_anew_never_runs_on_slots_that_it_has_not_leased(bed: Bed) -> None:
    """Killed between the new lease and the end of the old container, which somebody then starts by hand."""
    for earlier in (create, start, stop):
        earlier(bed.gate, bed)
    bed.set_policy("gpu_allocation: {prefer: full}\n" + PLAIN)
    assert killed(bed, recreate, 0, after=True)  # the first commit: the lease that it is to have
    with bed.ledger.container_lock(ALICE, doing="being looked at"):
        given = bed.gate.create(bed.actor("bob"), bed.request("bob", gpus=2)).container.gpus
        assert [slot.slot for slot in given] == ["1:1", "1:2"]
    bed.engine.start(ALICE)
    bed.gate.reconcile(bed.actor("root"))
    record = bed.record("alice")
    assert record.state is State.RUNNING
    assert record.slots == tuple(ref.slot for ref in record.gpus_fixed) == ("1:0",)
    assert len(bed.leased()) == 3
    legal.check_settled(bed)


@pytest.mark.parametrize("call", ["remove", "rename"])
def test_who_is_killed_when_the_old_one_is_gone_leaves_the_new_one_and_all_that_was_asked_for(
    bed: Bed, call: str
) -> None:
    create(bed.gate, bed)
    before = bed.record("alice")
    child = os.fork()
    if child == 0:
        try:
            engine = FaultyEngine(bed.engine, Steps(0, die, after=True), (call,))
            recreate(bed.another_gate(engine=engine), bed)
        finally:
            os._exit(1)
    assert was_killed(child)
    changes = bed.another_gate().reconcile(bed.actor("root"))
    assert [change.what for change in changes] == ["made anew"]
    legal.check_settled(bed)
    after = bed.record("alice")
    assert (after.request, after.state) == (before.request, State.CREATED)
    assert after.id != before.id and after.lease is not None


PLAIN = "defaults: {max_mig_instances: 2, max_gpus_per_container: 2}\n"


def test_what_was_killed_between_two_files_is_filed_by_whoever_comes_next(bed: Bed) -> None:
    create(bed.gate, bed)
    steps = 0
    while not killed(bed, remove, steps, after=False) or bed.engine.inspect(ALICE) or not _says_removed(bed):
        steps += 1
        assert steps < 20
        if not bed.record_file("alice").exists():
            create(bed.gate, bed)
    identity = bed.record_file("alice").read_text().split('"id": "')[1][:32]
    create(bed.gate, bed)
    assert [record.id for record in bed.ledger.removed()].count(identity) == 1
    assert bed.record("alice").id != identity


def _says_removed(bed: Bed) -> bool:
    path = bed.record_file("alice")
    return path.exists() and '"state": "removed"' in path.read_text()


def test_errors_in_the_child_would_show(bed: Bed) -> None:
    with pytest.raises(AssertionError):
        killed(bed, start, 0, after=False)
    with pytest.raises(Ds01Error):
        start(bed.gate, bed)


@pytest.mark.parametrize("at", [0, 1, 2])
def test_an_adoption_that_was_killed_leaves_lease_and_limits_to_whoever_looks_next(bed: Bed, at: int) -> None:
    bed.set_policy(PLAIN.replace("{", "{pids_limit: 77, "))
    theirs(bed.gate, bed)
    assert killed(bed, adopt, at, after=True)  # the record, the limits, the outcome
    assert bed.leased() == {bed.uuid["0"]: ALICE}
    with bed.ledger.container_lock(ALICE, doing="being looked at"):  # nobody has the slot while nobody has looked
        given = bed.gate.create(bed.actor("bob"), bed.request("bob", gpus=2)).container.gpus
        assert bed.uuid["0"] not in {slot.uuid for slot in given}
    bed.another_gate().reconcile(bed.actor("root"))
    seen = bed.engine.inspect(ALICE)
    assert seen is not None and seen.spec is not None and seen.spec.pids_limit == 77
    assert (bed.record("alice").pending, bed.record("alice").state) == (None, State.RUNNING)
