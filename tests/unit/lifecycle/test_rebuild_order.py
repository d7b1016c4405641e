"""Lost records are rebuilt before any new lease, first those of containers that have the GPU now."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from ds01.records.state_machine import State
from tests import invariants
from tests.actions import ALICE_THESIS, BOB_THESIS, create_container
from tests.harness import Harness


def lose(harness: Harness, *logins: str, unreadable: bool = True) -> None:
    for login in logins:
        if unreadable:
            harness.record_file(login).write_text("{")
        else:
            harness.record_file(login).unlink()


def same_gpu(harness: Harness, *logins: str) -> None:
    """Each in turn had the same GPU and gave it back; the last one still has it, and runs."""
    for login in logins:
        harness.clock.advance(minutes=10)
        create_container(harness, login, start=True)
        assert harness.record(login).slots == ("1:0",)
        if login != logins[-1]:
            harness.clock.advance(minutes=10)
            harness.gate.stop(harness.actor(login), harness.full(login), release=True)


@pytest.mark.parametrize("unreadable", [True, False])
def test_an_old_container_started_by_hand_takes_no_lost_lease(harness: Harness, unreadable: bool) -> None:
    same_gpu(harness, "bob", "alice")
    harness.clock.advance(minutes=1)
    harness.engine.start(BOB_THESIS)
    lose(harness, "alice", unreadable=unreadable)
    harness.another_gate().reconcile(harness.actor("root"))
    assert harness.leased() == {harness.uuid["1:0"]: ALICE_THESIS}
    assert harness.record("bob").conflict and harness.record("alice").conflict is None


@pytest.mark.parametrize("order", list(permutations(["alice", "bob", "carol"])))
def test_of_all_that_were_lost_the_one_that_runs_has_the_gpu(harness: Harness, order: tuple[str, ...]) -> None:
    same_gpu(harness, *order)
    lose(harness, *order, unreadable=False)
    harness.another_gate().reconcile(harness.actor("root"))
    assert harness.leased() == {harness.uuid["1:0"]: harness.full(order[-1])}
    assert [harness.record(login).state for login in order] == [State.STOPPED, State.STOPPED, State.RUNNING]
    invariants.check_settled(harness)


@pytest.mark.parametrize("order", list(permutations(["alice", "bob"])))
def test_of_two_that_run_the_first_that_started_has_it(harness: Harness, order: tuple[str, ...]) -> None:
    same_gpu(harness, *order)
    harness.clock.advance(minutes=1)
    harness.engine.start(harness.full(order[0]))  # by hand, after the other
    lose(harness, *order)
    harness.another_gate().reconcile(harness.actor("root"))
    assert harness.leased() == {harness.uuid["1:0"]: harness.full(order[1])}
    assert harness.record(order[0]).conflict


def test_of_those_that_are_stopped_the_last_user_keeps_the_hold(harness: Harness) -> None:
    same_gpu(harness, "alice", "bob")
    harness.clock.advance(minutes=1)
    harness.gate.stop(harness.actor("bob"), BOB_THESIS)
    lose(harness, "alice", "bob")
    harness.another_gate().reconcile(harness.actor("root"))
    assert [harness.record(login).state for login in ("alice", "bob")] == [State.STOPPED, State.HELD]


@pytest.mark.parametrize("command", ["start", "list", "reconcile"])
def test_slots_of_a_lost_record_are_not_leased(harness: Harness, command: str) -> None:
    """Alice's record cannot be rebuilt now: a command is at work on it."""
    same_gpu(harness, "bob", "alice")
    harness.engine.start(BOB_THESIS)
    lose(harness, "alice")
    gate: Any = harness.another_gate()
    with harness.ledger.container_lock(ALICE_THESIS, doing="being looked at"):
        if command == "start":
            gate.stop(harness.actor("bob"), BOB_THESIS)
        elif command == "list":
            gate.containers(harness.actor("bob"))
        else:
            gate.reconcile(harness.actor("root"))
        assert harness.leased() == {}
        assert {row.slot: row.state for row in gate.gpus(harness.actor("bob")).slots}["1:0"] == "busy_outside"
    gate.reconcile(harness.actor("root"))
    assert harness.leased() == {harness.uuid["1:0"]: ALICE_THESIS}
    invariants.check_settled(harness)


def test_one_that_cannot_be_inspected_is_waited_for(harness: Harness) -> None:
    same_gpu(harness, "bob", "alice")
    harness.engine.start(BOB_THESIS)
    harness.engine.break_container(ALICE_THESIS)
    lose(harness, "alice", "bob")
    gate = harness.another_gate()
    gate.reconcile(harness.actor("root"))
    assert harness.leased() == {} and harness.records() == []
    harness.engine.fix_container(ALICE_THESIS)
    gate.reconcile(harness.actor("root"))
    assert harness.leased() == {harness.uuid["1:0"]: ALICE_THESIS}
    assert harness.record("bob").conflict


def test_others_are_rebuilt_meanwhile(harness: Harness) -> None:
    for login in ("alice", "bob"):
        create_container(harness, login, start=True)
    harness.engine.break_container(ALICE_THESIS)
    lose(harness, "alice", "bob")
    harness.another_gate().reconcile(harness.actor("root"))
    assert harness.leased() == {harness.uuid["1:1"]: BOB_THESIS}


@pytest.mark.parametrize("gone", ["renamed", "unknown"])
def test_record_of_a_renamed_or_unknown_owner_is_rebuilt(harness: Harness, gone: str) -> None:
    create_container(harness, "alice", start=True)
    group = harness.record("alice").group
    lose(harness, "alice")
    passwd = harness.state / "passwd"
    lines = [line for line in passwd.read_text().splitlines(True) if not line.startswith("alice:")]
    if gone == "renamed":
        lines.append(f"alicia:x:70001:70001::{harness.home('alice')}:/bin/sh\n")
    passwd.write_text("".join(lines))
    harness.another_gate().reconcile(harness.actor("root"))
    record = harness.record("alice")
    assert (record.user, record.group) == ("alicia" if gone == "renamed" else "alice", group)
    assert harness.leased() == {harness.uuid["1:0"]: ALICE_THESIS}
