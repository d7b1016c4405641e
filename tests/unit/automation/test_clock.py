"""A wrong clock is not elapsed time: behind at boot, ahead for a while, set back, with what it wrote meanwhile."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from ds01.automation.report import Report, to_keep
from ds01.errors import GpusUnreachable
from ds01.gpus.model import GpuObservation, GpuRequest
from ds01.records.deadlines import lease_ends
from ds01.records.machine import Trigger
from ds01.system.clock import Uptime
from tests.bed import NOON
from tests.ticking import Ticking, acted, warned

ALICE = "thesis._.70001"
EPOCH = datetime(2010, 1, 1, tzinfo=timezone.utc)
YEAR = timedelta(days=365)


class NoAnswer:
    """GPUs that do not answer."""

    def observe(self, *, utilisation: bool = False) -> GpuObservation:
        raise GpusUnreachable("The GPUs cannot be asked.", data={"problem": "unknown"})


def runs_for(ticking: Ticking, uptime: timedelta, *, boot: str = "first") -> Report:
    """A pass on a machine that is up for so long."""
    tick = ticking.make()
    tick.uptime = lambda: Uptime(boot, uptime.total_seconds())
    return tick.run()


def test_a_clock_behind_at_boot_ends_no_hold_and_removes_nothing(ticking: Ticking) -> None:
    bed = ticking.bed
    ticking.runs()
    ticking.tick(minutes=5)
    before = bed.clock.time
    bed.clock.time = EPOCH  # power was lost, and the battery is dead
    bed.engine.kill(ALICE)
    report = runs_for(ticking, timedelta(minutes=1), boot="second")
    assert (report.complete, acted(report)) == (False, [])
    bed.another_gate().listing(bed.actor("alice"), owner=70001)  # a command records that it has ended
    assert bed.record("alice").stopped_at == before
    bed.clock.time = before + timedelta(minutes=10)
    for minutes in (2, 7, 12):
        bed.clock.advance(minutes=5)
        report = runs_for(ticking, timedelta(minutes=minutes), boot="second")
        assert (report.complete, acted(report)) == (True, [])
    assert ticking.state() == "held"


def test_a_stop_by_a_command_with_a_clock_behind_counts_from_what_was_seen_last(ticking: Ticking) -> None:
    bed = ticking.bed
    ticking.runs()
    ticking.tick(hours=5)
    seen = bed.clock.time
    bed.clock.time = EPOCH
    bed.gate.stop(bed.actor("alice"), ALICE)
    record = bed.record("alice")
    assert (record.stopped_at, record.held_until) == (seen, seen + timedelta(hours=2))


def test_a_clock_that_is_ahead_for_one_tick_judges_nothing_and_says_so(ticking: Ticking) -> None:
    bed = ticking.bed
    ticking.runs()
    runs_for(ticking, timedelta(hours=1))
    before = bed.record_file("alice").read_bytes()
    bed.clock.advance(days=365)
    report = runs_for(ticking, timedelta(hours=1, minutes=5))
    assert [(item.container, item.action) for item in report.unknown] == [("", "clock")]
    assert "went ahead by 364 days" in report.unknown[0].why
    assert bed.record_file("alice").read_bytes() == before
    assert to_keep(report, {"last_good_at": "2026-11-30T12:00:00Z"})["last_good_at"] == "2026-11-30T12:00:00Z"
    bed.clock.time = NOON + timedelta(minutes=10)
    assert runs_for(ticking, timedelta(hours=1, minutes=10)).complete


def test_a_dry_run_remembers_nothing_of_a_doubted_clock(ticking: Ticking) -> None:
    ticking.runs()
    remembered = ticking.bed.ledger.tick_memory()
    ticking.bed.clock.advance(days=-1)
    assert not ticking.make(dry_run=True).run().complete
    assert ticking.bed.ledger.tick_memory() == remembered


def test_a_warning_from_the_future_counts_as_not_given(ticking: Ticking) -> None:
    """As one was given by a tick that believed a clock a year ahead."""
    bed = ticking.bed
    bed.set_policy("defaults: {max_runtime: 20h, idle_timeout: null}\n")
    ticking.runs()
    bed.clock.advance(days=60)
    assert warned(ticking.any_tick()) == [("thesis", "runtime")]
    bed.clock.advance(days=-60, hours=17)
    for _ in range(3):
        ticking.any_tick(minutes=30)
    ends = ticking.until(lambda: ticking.state() == "held", every=timedelta(minutes=30), longest=10)
    assert ends <= NOON + timedelta(hours=21)
    assert [notice.kind for notice in ticking.post()].count("runtime") == 2


FUTURE = ("created_at", "started_at", "stopped_at")


@pytest.mark.parametrize("state", ["created", "running", "held"])
def test_times_from_the_future_count_as_now(ticking: Ticking, state: str) -> None:
    bed = ticking.bed
    bed.set_policy("defaults: {max_runtime: 20h, idle_timeout: 30h, gpu_hold_after_stop: 2h}\n")
    bed.clock.time = NOON + YEAR  # a command worked while the clock was ahead
    bed.gate.create(bed.actor("alice"), bed.request("alice"))
    if state != "created":
        bed.gate.start(bed.actor("alice"), ALICE)
    if state == "held":
        bed.gate.stop(bed.actor("alice"), ALICE)
    bed.clock.time = NOON
    runs_for(ticking, timedelta(hours=1))  # not trusted yet: a container seems to have changed in the future
    for minutes in range(5, 70, 5):
        bed.clock.advance(minutes=5)
        runs_for(ticking, timedelta(hours=1, minutes=minutes))
    record = bed.record("alice")
    assert record.state.value == state
    times = [record.created_at, record.started_at, record.stopped_at, *(step.at for step in record.history)]
    assert all(at is None or at <= bed.clock.time for at in times)
    assert record.lease is not None and record.lease.since <= bed.clock.time
    ends = lease_ends(record, *bed.context.rules.deadline_rules(record))
    assert ends is not None and ends <= bed.clock.time + timedelta(hours=20)
    ticking.until(lambda: ticking.state() in ("stopped", "held")[: 2 if state == "running" else 1],
                  every=timedelta(minutes=30), longest=60)  # fmt: skip


def test_a_future_time_is_corrected_at_once_where_the_time_since_boot_says_who_is_right(ticking: Ticking) -> None:
    bed = ticking.bed
    ticking.runs()
    runs_for(ticking, timedelta(hours=1))
    bed.clock.advance(days=100)
    bed.gate.stop(bed.actor("alice"), ALICE)
    bed.clock.advance(days=-100, minutes=5)
    report = runs_for(ticking, timedelta(hours=1, minutes=5))
    assert report.complete
    record = bed.record("alice")
    assert (record.stopped_at, record.held_until) == (bed.clock.time, bed.clock.time + timedelta(hours=2))
    assert acted(ticking.tick(hours=2)) == [("thesis", "release")]


def test_an_extension_from_the_future_lasts_no_longer_than_it_was(ticking: Ticking) -> None:
    bed = ticking.bed
    ticking.runs()
    with bed.ledger.transaction() as ledger:
        record = bed.record("alice")
        extended = replace(record, extended=timedelta(hours=3), extended_until=bed.clock.time + YEAR)
        ledger.commit(extended, now=bed.clock())
    ticking.tick(minutes=5)
    until = bed.record("alice").extended_until
    assert until is not None and until <= bed.clock.time + timedelta(hours=13)


def test_doctor_and_the_next_tick_are_not_misled_by_a_pass_in_the_future(ticking: Ticking) -> None:
    ticking.runs()
    report = Report(NOON + YEAR)
    report.doubts_clock("the clock went ahead")
    assert not report.complete
    assert to_keep(report, {})["last_good_at"] is None


@pytest.mark.parametrize("how", ["created", "started", "started behind ds01"])
def test_a_start_with_a_clock_behind_is_no_long_runtime(ticking: Ticking, how: str) -> None:
    bed = ticking.bed
    bed.set_policy("defaults: {max_runtime: 20h, gpu_hold_after_stop: null}\n")
    ticking.runs("bob")
    if how != "created":
        ticking.runs()
        bed.gate.stop(bed.actor("alice"), ALICE)
    bed.clock.advance(days=20)
    runs_for(ticking, timedelta(days=21))
    right = bed.clock.time
    bed.clock.time = EPOCH  # a reboot with a dead battery
    runs_for(ticking, timedelta(minutes=1), boot="second")
    if how == "created":
        bed.gate.create(bed.actor("alice"), bed.request("alice"))
    bed.clock.advance(minutes=1)
    if how == "started behind ds01":
        bed.engine.start(ALICE)
    else:
        bed.gate.start(bed.actor("alice"), ALICE)
    bed.clock.time = right + timedelta(hours=1)
    report = runs_for(ticking, timedelta(minutes=10), boot="second")
    assert report.complete
    assert bed.record("alice").started_at == bed.clock.time
    for minutes in (15, 20):
        bed.clock.advance(minutes=5)
        report = runs_for(ticking, timedelta(minutes=minutes), boot="second")
        assert ALICE not in {item.container for item in (*report.warned, *report.acted)}
    assert ticking.state() == "running"


def test_a_start_that_an_earlier_tick_saw_is_as_it_was(ticking: Ticking) -> None:
    started = ticking.runs().started_at
    for _ in range(3):
        ticking.tick(hours=1)
    assert ticking.bed.record("alice").started_at == started


def test_a_start_while_ticks_could_look_at_nothing_is_as_it_was(ticking: Ticking) -> None:
    bed = ticking.bed
    ticking.runs("bob")
    inventory = bed.inventory
    bed.inventory = NoAnswer()
    bed.gate.create(bed.actor("alice"), bed.request("alice", gpus=0))
    bed.gate.start(bed.actor("alice"), ALICE)
    started = bed.record("alice").started_at
    for _ in range(3):
        assert not ticking.any_tick(hours=2).good
    bed.inventory = inventory
    assert ticking.any_tick(minutes=10).good
    assert bed.record("alice").started_at == started


def test_a_lease_by_hand_that_is_in_use_is_as_it_was(ticking: Ticking) -> None:
    bed = ticking.bed
    boss, job = bed.actor("boss"), "job._.70001"
    bed.gate.allocate(boss, 70001, "job", GpuRequest(1))
    bed.gate.mark(boss, job, Trigger.STOP)
    bed.gate.mark(boss, job, Trigger.START)
    before = bed.record("alice", "job")
    for _ in range(3):
        ticking.tick(hours=1)
    assert bed.record("alice", "job") == before
