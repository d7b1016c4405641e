"""Held GPUs that go to whoever waits with a higher priority, where the policy says so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from ds01.gpus.model import GpuRequest
from ds01.records.line import Waiter
from ds01.records.machine import Trigger
from tests.bed import Bed
from tests.ticking import Ticking, acted

POLICY = """\
defaults: {max_mig_instances: 3, max_gpus_per_container: 3, max_containers_per_user: 9, gpu_hold_after_stop: 48h,
           idle_timeout: null}
groups:
  admins: {members: [boss], admin: true, priority: 90}
  students: {members: [carol], priority: 5}
reclaim_held: true
"""


class Line:
    """People in the waiting line, each as long as the test lasts."""

    def __init__(self, bed: Bed) -> None:
        self.bed = bed
        self.stack = ExitStack()

    def joins(self, login: str, name: str = "new", gpus: int = 1, priority: int = 1) -> Waiter:
        bed = self.bed
        bed.clock.advance(seconds=1)
        uid = bed.people[login]
        request = bed.request(login, name, gpus)
        waiter = Waiter("", login, uid, priority, bed.clock(), bed.full(login, name), request)
        return self.stack.enter_context(bed.ledger.line().join(waiter))


@pytest.fixture
def line(bed: Bed) -> Iterator[Line]:
    found = Line(bed)
    with found.stack:
        yield found


@pytest.fixture
def held(bed: Bed) -> Ticking:
    """All four slots are leased; alice's (priority 10) and carol's (5) are held."""
    bed.set_policy(POLICY)
    ticking = Ticking(bed)
    for login in ("alice", "bob", "carol"):
        ticking.runs(login)
    ticking.runs("bob", "other", workspace=str(bed.home("bob") / "workspace" / "thesis"))
    for login in ("alice", "carol"):
        bed.gate.stop(bed.actor(login), bed.full(login))
        bed.clock.advance(minutes=1)
    assert len(bed.leased()) == 4
    return ticking


def test_the_lowest_priority_gives_way_and_its_owner_is_told(held: Ticking, line: Line) -> None:
    line.joins("bob")
    assert acted(held.tick(minutes=1)) == [("thesis", "release")]
    assert (held.state("carol"), held.state("alice")) == ("stopped", "held")
    (notice,) = held.post("carol")
    assert (notice.kind, notice.text) == (
        "released",
        "The GPU of thesis, which is stopped, goes to somebody of higher priority.",
    )
    assert held.bed.record("carol").history[-1].why == "somebody of higher priority waits"
    assert acted(held.tick(minutes=1)) == []  # one waits, and one slot is free


def test_equal_priority_takes_nothing(held: Ticking, line: Line) -> None:
    held.bed.gate.remove(held.bed.actor("carol"), held.bed.full("carol"))
    held.runs("boss")
    line.joins("bob")
    assert acted(held.tick(minutes=1)) == []
    assert held.state("alice") == "held"


def test_the_holders_priority_that_counts_is_todays(held: Ticking, line: Line) -> None:
    bed = held.bed
    bed.set_policy(POLICY.replace("members: [carol], priority: 5", "members: [carol], priority: 95").replace(
        "idle_timeout: null", "idle_timeout: null, priority: 50"))  # fmt: skip
    line.joins("boss")
    assert acted(held.tick(minutes=1)) == [("thesis", "release")]
    assert (held.state("carol"), held.state("alice")) == ("held", "stopped")


def test_an_override_that_ended_protects_no_hold(held: Ticking, line: Line) -> None:
    bed = held.bed
    bed.set_policy(POLICY + "user_overrides: {carol: {priority: 95, until: 2026-11-01}}\n")
    line.joins("boss")
    assert acted(held.tick(minutes=1)) == [("thesis", "release")]
    assert held.state("carol") == "stopped"


def test_a_lease_by_hand_is_not_planned_with(held: Ticking, line: Line) -> None:
    """Three MIG instances would serve the waiter: alice and carol hold one each, the third is leased by hand."""
    bed = held.bed
    boss = bed.actor("boss")
    for login, name in (("bob", "thesis"), ("bob", "other")):
        bed.gate.remove(bed.actor(login), bed.full(login, name), force=True)
    for name in ("one", "two"):
        bed.gate.allocate(boss, bed.people["alice"], name, GpuRequest(1), priority=1)
        bed.gate.mark(boss, bed.full("alice", name), Trigger.STOP)
    line.joins("boss", gpus=3)
    assert acted(held.tick(minutes=1)) == []
    assert (held.state("alice"), held.state("carol")) == ("held", "held")


def test_only_as_much_as_serves_a_waiter_ends(held: Ticking, line: Line) -> None:
    line.joins("boss", gpus=3)  # three alike are not to be had, since bob's run
    assert acted(held.tick(minutes=1)) == []
    line.joins("boss", "second", gpus=1)
    line.joins("boss", "third", gpus=1)
    assert acted(held.tick(minutes=1)) == [("thesis", "release")] * 2


def test_without_the_policys_word_nothing_ends(held: Ticking, line: Line) -> None:
    held.bed.set_policy(POLICY.replace("reclaim_held: true", "reclaim_held: false"))
    line.joins("boss")
    assert acted(held.tick(minutes=1)) == []


def test_the_priority_that_counts_is_the_policys_not_the_files(held: Ticking, line: Line) -> None:
    line.joins("carol", priority=100)
    assert acted(held.tick(minutes=1)) == []


def test_without_a_delivered_notice_nothing_ends(held: Ticking, line: Line) -> None:
    line.joins("boss")
    box = held.bed.state / "notices"
    if box.exists():
        box.rmdir()
    box.symlink_to("/nowhere")
    report = held.any_tick(minutes=1)
    assert [(item.action, item.why) for item in report.errors] == [("reclaim", "the notice could not be delivered")]
    assert held.state("carol") == "held"


def test_who_is_gone_is_dropped(held: Ticking, line: Line) -> None:
    waiter = line.joins("bob")
    path = held.bed.state / "queue" / f"{waiter.id}.json"
    content = path.read_bytes()
    line.stack.close()
    path.write_bytes(content)  # as if its process had been killed
    assert acted(held.tick(minutes=1)) == [(waiter.id, "drop")]
    assert not path.exists()
