"""Lost records are rebuilt before anybody gets a lease, and those of whoever has the GPU now before others."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from ds01.records.machine import State
from tests import legal
from tests.acts import ALICE, BOB, fill
from tests.bed import Bed


def lose(bed: Bed, *logins: str, unreadable: bool = True) -> None:
    for login in logins:
        if unreadable:
            bed.record_file(login).write_text("{")
        else:
            bed.record_file(login).unlink()


def same_gpu(bed: Bed, *logins: str) -> None:
    """Each in turn had the same GPU and gave it back; the last one still has it, and runs."""
    for login in logins:
        bed.clock.advance(minutes=10)
        fill(bed, login, start=True)
        assert bed.record(login).slots == ("1:0",)
        if login != logins[-1]:
            bed.clock.advance(minutes=10)
            bed.gate.stop(bed.actor(login), bed.full(login), release=True)


@pytest.mark.parametrize("unreadable", [True, False])
def test_an_old_container_started_by_hand_takes_no_lost_lease(bed: Bed, unreadable: bool) -> None:
    same_gpu(bed, "bob", "alice")
    bed.clock.advance(minutes=1)
    bed.engine.start(BOB)
    lose(bed, "alice", unreadable=unreadable)
    bed.another_gate().reconcile(bed.actor("root"))
    assert bed.leased() == {bed.uuid["1:0"]: ALICE}
    assert bed.record("bob").conflict and bed.record("alice").conflict is None


@pytest.mark.parametrize("order", list(permutations(["alice", "bob", "carol"])))
def test_of_all_that_were_lost_the_one_that_runs_has_the_gpu(bed: Bed, order: tuple[str, ...]) -> None:
    same_gpu(bed, *order)
    lose(bed, *order, unreadable=False)
    bed.another_gate().reconcile(bed.actor("root"))
    assert bed.leased() == {bed.uuid["1:0"]: bed.full(order[-1])}
    assert [bed.record(login).state for login in order] == [State.STOPPED, State.STOPPED, State.RUNNING]
    legal.check_settled(bed)


@pytest.mark.parametrize("order", list(permutations(["alice", "bob"])))
def test_of_two_that_run_the_first_that_started_has_it(bed: Bed, order: tuple[str, ...]) -> None:
    same_gpu(bed, *order)
    bed.clock.advance(minutes=1)
    bed.engine.start(bed.full(order[0]))  # by hand, after the other
    lose(bed, *order)
    bed.another_gate().reconcile(bed.actor("root"))
    assert bed.leased() == {bed.uuid["1:0"]: bed.full(order[1])}
    assert bed.record(order[0]).conflict


def test_of_those_that_are_stopped_the_last_user_keeps_the_hold(bed: Bed) -> None:
    same_gpu(bed, "alice", "bob")
    bed.clock.advance(minutes=1)
    bed.gate.stop(bed.actor("bob"), BOB)
    lose(bed, "alice", "bob")
    bed.another_gate().reconcile(bed.actor("root"))
    assert [bed.record(login).state for login in ("alice", "bob")] == [State.STOPPED, State.HELD]


@pytest.mark.parametrize("command", ["start", "list", "reconcile"])
def test_nobody_gets_a_lease_that_may_be_a_lost_one(bed: Bed, command: str) -> None:
    """Alice's record cannot be rebuilt now: a command is at work on it."""
    same_gpu(bed, "bob", "alice")
    bed.engine.start(BOB)
    lose(bed, "alice")
    gate: Any = bed.another_gate()
    with bed.ledger.container_lock(ALICE, doing="being looked at"):
        if command == "start":
            gate.stop(bed.actor("bob"), BOB)
        elif command == "list":
            gate.containers(bed.actor("bob"))
        else:
            gate.reconcile(bed.actor("root"))
        assert bed.leased() == {}
        assert {row.slot: row.state for row in gate.gpus(bed.actor("bob")).slots}["1:0"] == "busy_outside"
    gate.reconcile(bed.actor("root"))
    assert bed.leased() == {bed.uuid["1:0"]: ALICE}
    legal.check_settled(bed)


def test_one_that_cannot_be_inspected_is_waited_for(bed: Bed) -> None:
    same_gpu(bed, "bob", "alice")
    bed.engine.start(BOB)
    bed.engine.break_container(ALICE)
    lose(bed, "alice", "bob")
    gate = bed.another_gate()
    gate.reconcile(bed.actor("root"))
    assert bed.leased() == {} and bed.records() == []
    bed.engine.fix_container(ALICE)
    gate.reconcile(bed.actor("root"))
    assert bed.leased() == {bed.uuid["1:0"]: ALICE}
    assert bed.record("bob").conflict


def test_others_are_rebuilt_meanwhile(bed: Bed) -> None:
    for login in ("alice", "bob"):
        fill(bed, login, start=True)
    bed.engine.break_container(ALICE)
    lose(bed, "alice", "bob")
    bed.another_gate().reconcile(bed.actor("root"))
    assert bed.leased() == {bed.uuid["1:1"]: BOB}


@pytest.mark.parametrize("gone", ["renamed", "unknown"])
def test_one_of_an_owner_who_is_renamed_or_unknown_is_rebuilt(bed: Bed, gone: str) -> None:
    fill(bed, "alice", start=True)
    group = bed.record("alice").group
    lose(bed, "alice")
    passwd = bed.state / "passwd"
    lines = [line for line in passwd.read_text().splitlines(True) if not line.startswith("alice:")]
    if gone == "renamed":
        lines.append(f"alicia:x:70001:70001::{bed.home('alice')}:/bin/sh\n")
    passwd.write_text("".join(lines))
    bed.another_gate().reconcile(bed.actor("root"))
    record = bed.record("alice")
    assert (record.user, record.group) == ("alicia" if gone == "renamed" else "alice", group)
    assert bed.leased() == {bed.uuid["1:0"]: ALICE}
