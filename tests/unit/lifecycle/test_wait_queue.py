"""The queue: who may wait, in which order, who is served first, and how a waiter leaves."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ds01.api.steps import StartStep
from ds01.errors import EngineUnreachable, InvalidState, NoCapacity, NotFound, PermissionDenied, PolicyUnreadable
from ds01.gate import queue_wait as wait_module
from ds01.gpus.model import GpuRequest, Rule
from ds01.lifecycle.context import wait_queue
from ds01.records.wait_queue import Waiter
from ds01.system.clock import Sleep
from ds01.system.data import to_json
from tests.actions import refusal_in
from tests.client import Client
from tests.fault_injection import FaultyEngine, StepCounter, make_raiser
from tests.harness import Harness
from tests.user_directory import connect_user_directory

POLICY = """\
defaults: {max_mig_instances: 2, max_gpus_per_container: 2, max_containers_per_user: 9}
groups:
  admins: {members: [boss], admin: true, priority: 90}
  researchers: {members: [carol], priority: 50}
"""
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="several people need root")


@pytest.fixture
def full(harness: Harness) -> Harness:
    """A server with two slots, both of them root's."""
    from ds01.gpus.simulated import parse_inventory

    harness.inventory = parse_inventory("1xA100:2x2g.10gb")
    harness.set_policy(POLICY)
    for name in ("a", "b"):
        harness.gate.create(harness.actor("root"), harness.request("root", name, 1))
    return harness


class NothingChanges(Exception):
    """A waiter has tried in vain, and would sleep until something changes."""


def _nothing_changes(seconds: float) -> None:
    raise NothingChanges


def frees(harness: Harness, name: str = "a") -> None:
    harness.gate.remove(harness.actor("root"), f"{name}._.0")


def waits(
    harness: Harness, login: str, name: str = "thesis", gpus: int | None = 1, sleep: Sleep | None = None, **more: Any
) -> Iterator[StartStep]:
    """Somebody's wait, as another process has it, which has begun."""
    harness.clock.advance(seconds=1)
    context = harness.make_context(sleep=sleep or _nothing_changes)
    workspace = str(harness.home(login) / "workspace" / "thesis")
    return Client(context).wait(harness.actor(login), harness.request(login, name, gpus, workspace=workspace), **more)


def order(harness: Harness) -> list[tuple[str, str | None]]:
    return [(row.user, row.why) for row in harness.gate.queue(harness.actor("alice"))]


def test_queue_is_ordered_by_priority_then_time(full: Harness) -> None:
    with ExitStack() as stack:
        for login in ("alice", "bob", "carol", "boss"):
            full.clock.advance(seconds=1)
            step = next(stack.enter_context(closing(waits(full, login))))
            assert step.waiting is not None
        assert [login for login, _ in order(full)] == ["boss", "carol", "alice", "bob"]
        assert {why for _, why in order(full)} == {"none_free"}
    assert order(full) == []


def closing(steps: Any) -> Any:
    from contextlib import closing as close

    return close(steps)


def test_waiter_sees_position_changes(full: Harness) -> None:
    alice = waits(full, "alice")
    assert next(alice).waiting.position == 1  # type: ignore[union-attr]
    with closing(waits(full, "carol")) as carol:
        next(carol)
        assert next(alice).waiting.position == 2  # type: ignore[union-attr]
    assert next(alice).waiting.position == 1  # type: ignore[union-attr]
    frees(full)
    assert next(alice).acted.container.name == "thesis"  # type: ignore[union-attr]
    with pytest.raises(StopIteration):
        next(alice)


def test_whoever_has_its_container_waits_no_more(full: Harness) -> None:
    alice = waits(full, "alice")
    next(alice)
    frees(full)
    next(alice)
    assert order(full) == []


def test_request_without_wait_comes_after_the_queue(full: Harness) -> None:
    with closing(waits(full, "alice")) as alice:
        next(alice)
        frees(full)
        with pytest.raises(NoCapacity) as refused:
            full.gate.create(full.actor("bob"), full.request("bob", gpus=1))
        assert ("waiting", "alice") in [(claim.state, claim.user) for claim in refusal_in(refused).claims]
        assert full.gate.plan(full.actor("bob"), full.request("bob", gpus=1)).refusal is not None
        assert next(alice).acted is not None


def test_start_comes_after_the_queue(full: Harness) -> None:
    frees(full)
    full.gate.create(full.actor("bob"), full.request("bob", gpus=1))
    full.gate.start(full.actor("bob"), full.full("bob"))
    with closing(waits(full, "alice")) as alice:
        next(alice)
        full.gate.stop(full.actor("bob"), full.full("bob"), release=True)
        with pytest.raises(NoCapacity):
            full.gate.start(full.actor("bob"), full.full("bob"))
        assert next(alice).acted is not None


def test_later_waiters_take_what_earlier_ones_cannot_use(full: Harness) -> None:
    with closing(waits(full, "carol", gpus=2)) as carol, closing(waits(full, "alice", gpus=1)) as alice:
        next(carol)
        next(alice)
        frees(full)
        assert next(alice).acted is not None
        frees(full, "b")
        full.gate.remove(full.actor("alice"), full.full("alice"))
        assert next(carol).acted is not None


def test_waiter_over_quota_blocks_nobody(full: Harness) -> None:
    full.set_policy(POLICY.replace("priority: 50", "priority: 50, max_mig_instances: 1"))
    with closing(waits(full, "carol", "one")) as one, closing(waits(full, "carol", "two")) as two:
        next(one)
        full.clock.advance(seconds=1)  # one stands before the other
        next(two)
        frees(full)
        assert next(one).acted is not None
        assert order(full) == [("carol", "max_mig_instances")]
        frees(full, "b")
        full.gate.create(full.actor("bob"), full.request("bob", gpus=1))
        with pytest.raises(PermissionDenied):
            next(two)
    assert order(full) == []


def test_with_an_end_the_wait_is_refused_when_it_is_over(full: Harness) -> None:
    with pytest.raises(NoCapacity) as refused:
        list(waits(full, "alice", longest=timedelta(0)))
    assert refused.value.exit_code == 4
    assert order(full) == []


def test_a_wait_ends_within_its_time(full: Harness) -> None:
    slept = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        time.sleep(seconds)

    context = full.make_context(sleep=sleep)
    with pytest.raises(NoCapacity):
        list(Client(context).wait(full.actor("alice"), full.request("alice", gpus=1), longest=timedelta(seconds=0.2)))
    assert 0 < sum(slept) <= 0.25


@pytest.mark.parametrize("who", ["alice", "boss", "root"])
def test_the_owner_and_administrators_cancel(full: Harness, who: str) -> None:
    alice = waits(full, "alice")
    identity = next(alice).waiting.id  # type: ignore[union-attr]
    full.gate.cancel_wait(full.actor(who), identity)
    with pytest.raises(InvalidState, match="cancelled"):
        next(alice)
    assert order(full) == []


def test_only_the_owner_cancels(full: Harness) -> None:
    with closing(waits(full, "alice")) as alice:
        identity = next(alice).waiting.id
        with pytest.raises(PermissionDenied):
            full.gate.cancel_wait(full.actor("bob"), identity)
        for other in ("nobody", "../installation", f"{identity}.json"):
            with pytest.raises(NotFound):
                full.gate.cancel_wait(full.actor("root"), other)
        assert order(full) == [("alice", "none_free")]


def test_a_restart_of_docker_ends_no_wait(full: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait_module, "RETRY_INTERVAL", 0.0)
    steps = StepCounter(0, lambda: None)
    alice = Client(full.make_context(engine=FaultyEngine(full.engine, steps))).wait(
        full.actor("alice"), full.request("alice", gpus=1)
    )
    next(alice)
    frees(full)
    steps.at, steps.act = steps.count, make_raiser(EngineUnreachable("Docker restarts"))
    assert next(alice).acted is not None
    assert steps.count > steps.at


@pytest.mark.parametrize("silence", [{"people": True, "groups": False}, {"people": False, "groups": True}])
def test_a_silent_user_database_ends_no_wait(
    full: Harness, monkeypatch: pytest.MonkeyPatch, silence: dict[str, bool]
) -> None:
    monkeypatch.setattr(wait_module, "RETRY_INTERVAL", 0.01)
    directory = connect_user_directory(full, monkeypatch, {"research": {"alice"}})
    full.set_policy(
        "defaults: {max_mig_instances: 0}\ngroups: {researchers: {unix_groups: [research], max_mig_instances: 2}}\n"
    )
    alice = waits(full, "alice", sleep=lambda seconds: directory.answer())
    assert next(alice).waiting is not None
    frees(full)
    directory.silence(**silence)
    assert next(alice).acted is not None
    assert full.record("alice").slots == ("0:0",)


def test_without_docker_from_the_beginning_one_does_not_wait(full: Harness) -> None:
    engine = FaultyEngine(full.engine, StepCounter(0, make_raiser(EngineUnreachable("no Docker"))))
    with pytest.raises(EngineUnreachable):
        next(Client(full.make_context(engine=engine)).wait(full.actor("alice"), full.request("alice", gpus=1)))
    assert list((full.state / "queue").iterdir()) == []


def test_a_refusal_that_no_waiting_changes_is_said_at_once(full: Harness) -> None:
    with pytest.raises(PermissionDenied):
        list(waits(full, "alice", gpus=3))


# the policy while one waits


def test_waiter_does_not_get_a_newly_reserved_gpu(full: Harness) -> None:
    alice = waits(full, "alice")
    next(alice)
    full.set_policy(
        POLICY + "reservations: [{for: carol, slots: ['0:0', '0:1'], from: 2026-01-01, until: 2027-01-01}]\n"
    )
    frees(full)
    with pytest.raises(NothingChanges):
        next(alice)
    assert set(full.leased().values()) == {"b._.0"}


def test_a_waiter_whose_quota_became_zero_is_refused(full: Harness) -> None:
    alice = waits(full, "alice")
    next(alice)
    full.set_policy(POLICY.replace("max_mig_instances: 2", "max_mig_instances: 0"))
    frees(full)
    with pytest.raises(PermissionDenied) as refused:
        next(alice)
    assert refusal_in(refused).rule is Rule.QUOTA
    assert order(full) == []


def test_waiter_never_falls_back_to_cpu_only(full: Harness) -> None:
    alice = waits(full, "alice", gpus=None)
    next(alice)
    full.set_policy(POLICY.replace("max_mig_instances: 2", "max_mig_instances: 0"))
    frees(full)
    with pytest.raises(PermissionDenied):
        next(alice)
    assert [record.user for record in full.records()] == ["root"]


def test_a_policy_saved_half_written_ends_no_wait(full: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait_module, "RETRY_INTERVAL", 0.01)
    whole = full.read_policy

    def mend(seconds: float) -> None:
        full.read_policy = whole

    alice = waits(full, "alice", sleep=mend)
    next(alice)
    frees(full)
    full.read_policy = make_raiser(PolicyUnreadable("a bracket is missing"))  # type: ignore[assignment]
    assert next(alice).acted is not None


@as_root
def test_waiting_admin_without_rights_loses_the_place(full: Harness) -> None:
    waiter = forged(full, owner=70009)
    standing = replace(waiter, by=70009)
    assert wait_queue.may_wait(full.context, standing)
    full.set_policy(POLICY.replace("admin: true, ", ""))
    assert not wait_queue.may_wait(full.context, standing)


def test_a_create_goes_by_the_policy_of_now_not_of_its_plan(harness: Harness) -> None:
    """Between the two, an image may be fetched for half an hour."""
    gate = harness.another_gate()
    assert gate.plan(harness.actor("alice"), harness.request("alice", gpus=1)).refusal is None
    harness.set_policy("defaults: {max_mig_instances: 0}")
    with pytest.raises(PermissionDenied) as refused:
        gate.create(harness.actor("alice"), harness.request("alice", gpus=1))
    assert refusal_in(refused).rule is Rule.QUOTA


def test_a_start_goes_by_the_policy_of_now(harness: Harness) -> None:
    gate = harness.another_gate()
    gate.create(harness.actor("alice"), harness.request("alice", gpus=1))
    gate.start(harness.actor("alice"), harness.full("alice"))
    gate.stop(harness.actor("alice"), harness.full("alice"), release=True)
    harness.set_policy("defaults: {max_mig_instances: 0}")
    for recreate in (False, True):
        with pytest.raises(PermissionDenied):
            gate.start(harness.actor("alice"), harness.full("alice"), recreate=recreate)


def test_rights_to_allocate_by_hand_are_those_of_now(harness: Harness) -> None:
    gate = harness.another_gate()
    harness.set_policy("defaults: {}")
    with pytest.raises(PermissionDenied):
        gate.allocate(harness.actor("boss"), 70002, "hand", GpuRequest(1))


# waiters that do not run


def suspend(harness: Harness, step: StartStep, *, seconds: float = 61) -> None:
    """Let the last attempt of a waiter be so long ago, as Ctrl-Z would."""
    assert step.waiting is not None
    long_ago = time.time() - seconds
    os.utime(harness.state / "queue" / f"{step.waiting.id}.json", (long_ago, long_ago))


@pytest.mark.parametrize("seconds", [61, -3600], ids=["stopped", "from the future"])
def test_a_suspended_waiter_keeps_no_gpu_from_others(full: Harness, seconds: float) -> None:
    with closing(waits(full, "carol")) as carol, closing(waits(full, "alice")) as alice:
        suspend(full, next(carol), seconds=seconds)
        next(alice)
        frees(full)
        assert order(full) == [("carol", "suspended"), ("alice", None)]
        assert next(alice).acted is not None
        full.gate.remove(full.actor("alice"), full.full("alice"))
        full.gate.create(full.actor("bob"), full.request("bob", gpus=1))


def test_a_waiter_that_goes_on_has_its_old_place(full: Harness) -> None:
    with closing(waits(full, "carol")) as carol, closing(waits(full, "alice")) as alice:
        suspend(full, next(carol))
        next(alice)
        frees(full)
        assert next(carol).acted is not None


def test_each_attempt_counts_as_a_sign_of_life(full: Harness) -> None:
    with closing(waits(full, "carol")) as carol, closing(waits(full, "alice")) as alice:
        suspend(full, next(alice))
        with closing(waits(full, "boss")) as boss:
            next(boss)
            assert next(alice).waiting is not None  # its position changed: it has tried
            assert not any(wait_queue.is_suspended(waiter) for waiter in wait_queue.waiters(full.context))
        assert carol is not None


def test_a_file_that_says_when_it_tried_is_not_believed(full: Harness) -> None:
    forged(full, owner=os.geteuid(), uid=os.geteuid(), tried_at=time.time() + 1e9)
    descriptor = hold(full)
    os.utime(full.state / "queue" / "f00.json", (0, 0))
    assert all(wait_queue.is_suspended(waiter) for waiter in wait_queue.waiters(full.context))
    os.close(descriptor)


def test_earliest_end_ignores_a_waiters_slot(full: Harness) -> None:
    with closing(waits(full, "alice")) as alice:
        next(alice)
        frees(full)
        with pytest.raises(NoCapacity) as refused:
            full.gate.create(full.actor("bob"), full.request("bob", gpus=1))
        # When root's other container, which never ran, loses its slot; not now, when alice has not even begun.
        assert refusal_in(refused).earliest == full.clock() + timedelta(minutes=30) - timedelta(seconds=1)


# files


def forged(harness: Harness, *, owner: int, locked: bool = True, **changes: Any) -> Waiter:
    """A file in the queue, written by hand."""
    waiter = Waiter(
        "f00", "carol", 70003, 100, harness.clock(), harness.full("carol"), harness.request("carol", gpus=1)
    )
    path = harness.state / "queue" / f"{waiter.id}.json"
    path.write_text(json.dumps(to_json(waiter) | changes))
    if os.geteuid() == 0:
        os.chown(path, owner, owner)
    return waiter


def hold(harness: Harness, name: str = "f00.json") -> int:
    import fcntl

    descriptor = os.open(harness.state / "queue" / name, os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


@as_root
def test_waiter_file_of_another_user_is_ignored(full: Harness) -> None:
    forged(full, owner=70002)
    descriptor = hold(full)
    assert order(full) == []
    frees(full)
    full.gate.create(full.actor("bob"), full.request("bob", gpus=1))
    os.close(descriptor)


@as_root
def test_administrator_may_wait_for_another_user(full: Harness) -> None:
    forged(full, owner=70009)
    descriptor = hold(full)
    assert order(full) == [("carol", "none_free")]
    os.close(descriptor)


@as_root
def test_priority_and_uid_in_a_waiter_file_are_ignored(full: Harness) -> None:
    forged(full, owner=70003, priority=100, by=0)
    descriptor = hold(full)
    with closing(waits(full, "boss")) as boss:
        next(boss)
        line = wait_queue.waiters(full.context)
        assert [(waiter.user, waiter.priority, waiter.by) for waiter in line] == [
            ("boss", 90, os.geteuid()),
            ("carol", 50, 70003),
        ]
    os.close(descriptor)


@as_root
def test_waiter_without_account_affects_no_other(full: Harness) -> None:
    forged(full, owner=4_000_000, uid=4_000_000, user="root")
    descriptor = hold(full)
    assert [login for login, _ in order(full)] == ["root"]
    (waiter,) = wait_queue.waiters(full.context)
    assert waiter.priority == 10  # the default: it has no name that the policy knows
    os.close(descriptor)


@pytest.mark.parametrize("content", ["", "{", "null", "[]", '{"id": "f00"}', "[" * 100_000])
def test_invalid_waiter_file_is_skipped_and_dropped(full: Harness, content: str) -> None:
    path = full.state / "queue" / "f00.json"
    path.write_text(content)
    assert order(full) == []
    frees(full)
    full.gate.create(full.actor("bob"), full.request("bob", gpus=1))
    assert full.ledger.wait_queue().remove_exited() == ["f00"]
    assert not path.exists()


def test_a_link_is_no_waiter(full: Harness) -> None:
    forged(full, owner=70003)
    (full.state / "queue" / "f00.json").rename(full.state / "elsewhere.json")
    (full.state / "queue" / "f00.json").symlink_to(full.state / "elsewhere.json")
    assert order(full) == []


def test_concurrent_readers_are_not_taken_for_waiters(full: Harness) -> None:
    """A reader takes the lock for a moment: two must not see each other's lock."""
    import fcntl

    forged(full, owner=70003)
    descriptor = os.open(full.state / "queue" / "f00.json", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    assert order(full) == []
    os.close(descriptor)


def test_a_container_that_is_being_made_is_not_counted_twice(full: Harness) -> None:
    """Between its lease and the end of its create a waiter is still in the queue."""
    from ds01.records.wait_queue import WaitQueue

    frees(full, "b")
    waiter = Waiter("", "alice", 70001, 10, full.clock(), full.full("alice"), full.request("alice", gpus=1))
    with WaitQueue(full.state / "queue", mode=0o644).join(waiter):
        full.gate.create(full.actor("alice"), full.request("alice", gpus=1))
        frees(full)  # the slot that alice would be given first, if she were to choose again
        assert full.gate.create(full.actor("bob"), full.request("bob", gpus=1)).container.gpus


def test_full_disk_prevents_joining_the_queue(full: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "write", lambda descriptor, content: len(content) - 1)
    with pytest.raises(Exception, match="cannot be joined"):
        next(waits(full, "alice"))
    monkeypatch.undo()
    assert list((full.state / "queue").iterdir()) == []


def test_leftover_of_a_killed_join_is_removed_later(full: Harness) -> None:
    old, new = (full.state / "queue" / f".{name}.tmp" for name in ("old", "new"))
    for path in (old, new):
        path.touch()
    os.utime(old, (0, 0))
    full.ledger.wait_queue().remove_exited()
    assert (old.exists(), new.exists()) == (False, True)


def test_manual_allocation_does_not_queue(full: Harness) -> None:
    with closing(waits(full, "alice")) as alice:
        next(alice)
        frees(full)
        full.gate.allocate(full.actor("boss"), 70002, "hand", GpuRequest(1))
