"""Held GPUs go to waiters of higher priority if the policy says so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from ds01.gpus.model import GpuRequest
from ds01.records.state_machine import Trigger
from ds01.records.wait_queue import Waiter
from tests.harness import Harness
from tests.tick_harness import TickHarness, actions_of

POLICY = """\
defaults: {max_mig_instances: 3, max_gpus_per_container: 3, max_containers_per_user: 9, gpu_hold_after_stop: 48h,
           idle_timeout: null}
groups:
  admins: {members: [boss], admin: true, priority: 90}
  students: {members: [carol], priority: 5}
reclaim_held: true
"""


class Line:
    """Waiters in the queue, each as long as the test lasts."""

    def __init__(self, harness: Harness) -> None:
        self.harness = harness
        self.stack = ExitStack()

    def joins(self, login: str, name: str = "new", gpus: int = 1, priority: int = 1) -> Waiter:
        harness = self.harness
        harness.clock.advance(seconds=1)
        uid = harness.people[login]
        request = harness.request(login, name, gpus)
        waiter = Waiter("", login, uid, priority, harness.clock(), harness.full(login, name), request)
        return self.stack.enter_context(harness.ledger.wait_queue().join(waiter))


@pytest.fixture
def line(harness: Harness) -> Iterator[Line]:
    found = Line(harness)
    with found.stack:
        yield found


@pytest.fixture
def held(harness: Harness) -> TickHarness:
    """All four slots are leased; alice's (priority 10) and carol's (5) are held."""
    harness.set_policy(POLICY)
    ticker = TickHarness(harness)
    for login in ("alice", "bob", "carol"):
        ticker.start_container(login)
    ticker.start_container("bob", "other", workspace=str(harness.home("bob") / "workspace" / "thesis"))
    for login in ("alice", "carol"):
        harness.gate.stop(harness.actor(login), harness.full(login))
        harness.clock.advance(minutes=1)
    assert len(harness.leased()) == 4
    return ticker


def test_lowest_priority_is_reclaimed_and_notified(held: TickHarness, line: Line) -> None:
    line.joins("bob")
    assert actions_of(held.tick(minutes=1)) == [("thesis", "release")]
    assert (held.state("carol"), held.state("alice")) == ("stopped", "held")
    (notice,) = held.take_notices("carol")
    assert (notice.kind, notice.text) == (
        "released",
        "The GPU of thesis, which is stopped, goes to a user of higher priority.",
    )
    assert held.harness.record("carol").history[-1].why == "a waiter of higher priority needs it"
    assert actions_of(held.tick(minutes=1)) == []  # one waits, and one slot is free


def test_equal_priority_takes_nothing(held: TickHarness, line: Line) -> None:
    held.harness.gate.remove(held.harness.actor("carol"), held.harness.full("carol"))
    held.start_container("boss")
    line.joins("bob")
    assert actions_of(held.tick(minutes=1)) == []
    assert held.state("alice") == "held"


def test_the_holders_priority_that_counts_is_todays(held: TickHarness, line: Line) -> None:
    harness = held.harness
    harness.set_policy(POLICY.replace("members: [carol], priority: 5", "members: [carol], priority: 95").replace(
        "idle_timeout: null", "idle_timeout: null, priority: 50"))  # fmt: skip
    line.joins("boss")
    assert actions_of(held.tick(minutes=1)) == [("thesis", "release")]
    assert (held.state("carol"), held.state("alice")) == ("held", "stopped")


def test_an_override_that_ended_protects_no_hold(held: TickHarness, line: Line) -> None:
    harness = held.harness
    harness.set_policy(POLICY + "user_overrides: {carol: {priority: 95, until: 2026-11-01}}\n")
    line.joins("boss")
    assert actions_of(held.tick(minutes=1)) == [("thesis", "release")]
    assert held.state("carol") == "stopped"


def test_a_lease_by_hand_is_not_planned_with(held: TickHarness, line: Line) -> None:
    """Three MIG instances would serve the waiter: alice and carol hold one each, the third is leased by hand."""
    harness = held.harness
    boss = harness.actor("boss")
    for login, name in (("bob", "thesis"), ("bob", "other")):
        harness.gate.remove(harness.actor(login), harness.full(login, name), force=True)
    for name in ("one", "two"):
        harness.gate.allocate(boss, harness.people["alice"], name, GpuRequest(1), priority=1)
        harness.gate.mark(boss, harness.full("alice", name), Trigger.STOP)
    line.joins("boss", gpus=3)
    assert actions_of(held.tick(minutes=1)) == []
    assert (held.state("alice"), held.state("carol")) == ("held", "held")


def test_only_as_much_as_serves_a_waiter_ends(held: TickHarness, line: Line) -> None:
    line.joins("boss", gpus=3)  # three alike are not to be had, since bob's run
    assert actions_of(held.tick(minutes=1)) == []
    line.joins("boss", "second", gpus=1)
    line.joins("boss", "third", gpus=1)
    assert actions_of(held.tick(minutes=1)) == [("thesis", "release")] * 2


def test_without_the_policys_word_nothing_ends(held: TickHarness, line: Line) -> None:
    held.harness.set_policy(POLICY.replace("reclaim_held: true", "reclaim_held: false"))
    line.joins("boss")
    assert actions_of(held.tick(minutes=1)) == []


def test_the_priority_that_counts_is_the_policys_not_the_files(held: TickHarness, line: Line) -> None:
    line.joins("carol", priority=100)
    assert actions_of(held.tick(minutes=1)) == []


def test_without_a_delivered_notice_nothing_ends(held: TickHarness, line: Line) -> None:
    line.joins("boss")
    box = held.harness.state / "notices"
    if box.exists():
        box.rmdir()
    box.symlink_to("/nowhere")
    report = held.run_tick(minutes=1)
    assert [(item.action, item.why) for item in report.errors] == [("reclaim", "the notice could not be delivered")]
    assert held.state("carol") == "held"


def test_exited_waiter_is_dropped(held: TickHarness, line: Line) -> None:
    waiter = line.joins("bob")
    path = held.harness.state / "queue" / f"{waiter.id}.json"
    content = path.read_bytes()
    line.stack.close()
    path.write_bytes(content)  # as if its process had been killed
    assert actions_of(held.tick(minutes=1)) == [(waiter.id, "drop")]
    assert not path.exists()
