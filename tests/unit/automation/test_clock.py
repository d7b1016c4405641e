"""A wrong clock does not count as elapsed time: behind at boot, ahead for a while, set back, and what it wrote."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from ds01.automation.report import TickReport, tick_document
from ds01.errors import GpusUnreachable
from ds01.gpus.model import GpuObservation, GpuRequest
from ds01.records.deadlines import lease_ends
from ds01.records.state_machine import Trigger
from ds01.system.clock import Uptime
from tests.harness import NOON
from tests.tick_harness import TickHarness, actions_of, warnings_of

ALICE_THESIS = "thesis._.70001"
EPOCH = datetime(2010, 1, 1, tzinfo=timezone.utc)
YEAR = timedelta(days=365)


class NoAnswer:
    """GPUs that do not answer."""

    def observe(self, *, utilisation: bool = False) -> GpuObservation:
        raise GpusUnreachable("The GPUs cannot be asked.", data={"problem": "unknown"})


def runs_for(ticker: TickHarness, uptime: timedelta, *, boot: str = "first") -> TickReport:
    """A pass on a machine that is up for so long."""
    tick = ticker.make_tick()
    tick.uptime = lambda: Uptime(boot, uptime.total_seconds())
    return tick.run()


def test_a_clock_behind_at_boot_ends_no_hold_and_removes_nothing(ticker: TickHarness) -> None:
    harness = ticker.harness
    ticker.start_container()
    ticker.tick(minutes=5)
    before = harness.clock.time
    harness.clock.time = EPOCH  # power was lost, and the battery is dead
    harness.engine.kill(ALICE_THESIS)
    report = runs_for(ticker, timedelta(minutes=1), boot="second")
    assert (report.complete, actions_of(report)) == (False, [])
    harness.another_gate().listing(harness.actor("alice"), owner=70001)  # a command records that it has ended
    assert harness.record("alice").stopped_at == before
    harness.clock.time = before + timedelta(minutes=10)
    for minutes in (2, 7, 12):
        harness.clock.advance(minutes=5)
        report = runs_for(ticker, timedelta(minutes=minutes), boot="second")
        assert (report.complete, actions_of(report)) == (True, [])
    assert ticker.state() == "held"


def test_stop_with_a_clock_behind_counts_from_the_last_observation(ticker: TickHarness) -> None:
    harness = ticker.harness
    ticker.start_container()
    ticker.tick(hours=5)
    seen = harness.clock.time
    harness.clock.time = EPOCH
    harness.gate.stop(harness.actor("alice"), ALICE_THESIS)
    record = harness.record("alice")
    assert (record.stopped_at, record.held_until) == (seen, seen + timedelta(hours=2))


def test_tick_with_a_clock_ahead_decides_nothing(ticker: TickHarness) -> None:
    harness = ticker.harness
    ticker.start_container()
    runs_for(ticker, timedelta(hours=1))
    before = harness.record_file("alice").read_bytes()
    harness.clock.advance(days=365)
    report = runs_for(ticker, timedelta(hours=1, minutes=5))
    assert [(item.container, item.action) for item in report.unknown] == [("", "clock")]
    assert "364 days" in report.unknown[0].why
    assert harness.record_file("alice").read_bytes() == before
    assert tick_document(report, {"last_good_at": "2026-11-30T12:00:00Z"})["last_good_at"] == "2026-11-30T12:00:00Z"
    harness.clock.time = NOON + timedelta(minutes=10)
    assert runs_for(ticker, timedelta(hours=1, minutes=10)).complete


def test_a_dry_run_remembers_nothing_of_a_doubted_clock(ticker: TickHarness) -> None:
    ticker.start_container()
    remembered = ticker.harness.ledger.tick_memory()
    ticker.harness.clock.advance(days=-1)
    assert not ticker.make_tick(dry_run=True).run().complete
    assert ticker.harness.ledger.tick_memory() == remembered


def test_a_warning_from_the_future_counts_as_not_given(ticker: TickHarness) -> None:
    """As one was given by a tick that believed a clock a year ahead."""
    harness = ticker.harness
    harness.set_policy("defaults: {max_runtime: 20h, idle_timeout: null}\n")
    ticker.start_container()
    harness.clock.advance(days=60)
    assert warnings_of(ticker.run_tick()) == [("thesis", "runtime")]
    harness.clock.advance(days=-60, hours=17)
    for _ in range(3):
        ticker.run_tick(minutes=30)
    ends = ticker.tick_until(lambda: ticker.state() == "held", every=timedelta(minutes=30), longest=10)
    assert ends <= NOON + timedelta(hours=21)
    assert [notice.kind for notice in ticker.take_notices()].count("runtime") == 2


FUTURE = ("created_at", "started_at", "stopped_at")


@pytest.mark.parametrize("state", ["created", "running", "held"])
def test_times_from_the_future_count_as_now(ticker: TickHarness, state: str) -> None:
    harness = ticker.harness
    harness.set_policy("defaults: {max_runtime: 20h, idle_timeout: 30h, gpu_hold_after_stop: 2h}\n")
    harness.clock.time = NOON + YEAR  # a command worked while the clock was ahead
    harness.gate.create(harness.actor("alice"), harness.request("alice"))
    if state != "created":
        harness.gate.start(harness.actor("alice"), ALICE_THESIS)
    if state == "held":
        harness.gate.stop(harness.actor("alice"), ALICE_THESIS)
    harness.clock.time = NOON
    runs_for(ticker, timedelta(hours=1))  # not trusted yet: a container seems to have changed in the future
    for minutes in range(5, 70, 5):
        harness.clock.advance(minutes=5)
        runs_for(ticker, timedelta(hours=1, minutes=minutes))
    record = harness.record("alice")
    assert record.state.value == state
    times = [record.created_at, record.started_at, record.stopped_at, *(step.at for step in record.history)]
    assert all(at is None or at <= harness.clock.time for at in times)
    assert record.lease is not None and record.lease.since <= harness.clock.time
    ends = lease_ends(record, *harness.context.rules.deadline_rules(record))
    assert ends is not None and ends <= harness.clock.time + timedelta(hours=20)
    ticker.tick_until(lambda: ticker.state() in ("stopped", "held")[: 2 if state == "running" else 1],
                  every=timedelta(minutes=30), longest=60)  # fmt: skip


def test_uptime_lets_future_times_be_corrected_at_once(ticker: TickHarness) -> None:
    harness = ticker.harness
    ticker.start_container()
    runs_for(ticker, timedelta(hours=1))
    harness.clock.advance(days=100)
    harness.gate.stop(harness.actor("alice"), ALICE_THESIS)
    harness.clock.advance(days=-100, minutes=5)
    report = runs_for(ticker, timedelta(hours=1, minutes=5))
    assert report.complete
    record = harness.record("alice")
    assert (record.stopped_at, record.held_until) == (harness.clock.time, harness.clock.time + timedelta(hours=2))
    assert actions_of(ticker.tick(hours=2)) == [("thesis", "release")]


def test_future_extension_is_limited_to_its_length(ticker: TickHarness) -> None:
    harness = ticker.harness
    ticker.start_container()
    with harness.ledger.transaction() as ledger:
        record = harness.record("alice")
        extended = replace(record, extended=timedelta(hours=3), extended_until=harness.clock.time + YEAR)
        ledger.commit(extended, now=harness.clock())
    ticker.tick(minutes=5)
    until = harness.record("alice").extended_until
    assert until is not None and until <= harness.clock.time + timedelta(hours=13)


def test_tick_in_the_future_does_not_count_as_last_good(ticker: TickHarness) -> None:
    ticker.start_container()
    report = TickReport(NOON + YEAR)
    report.add_clock_doubt("the clock went ahead")
    assert not report.complete
    assert tick_document(report, {})["last_good_at"] is None


@pytest.mark.parametrize("how", ["created", "started", "started outside ds01"])
def test_a_start_with_a_clock_behind_is_no_long_runtime(ticker: TickHarness, how: str) -> None:
    harness = ticker.harness
    harness.set_policy("defaults: {max_runtime: 20h, gpu_hold_after_stop: null}\n")
    ticker.start_container("bob")
    if how != "created":
        ticker.start_container()
        harness.gate.stop(harness.actor("alice"), ALICE_THESIS)
    harness.clock.advance(days=20)
    runs_for(ticker, timedelta(days=21))
    right = harness.clock.time
    harness.clock.time = EPOCH  # a reboot with a dead battery
    runs_for(ticker, timedelta(minutes=1), boot="second")
    if how == "created":
        harness.gate.create(harness.actor("alice"), harness.request("alice"))
    harness.clock.advance(minutes=1)
    if how == "started outside ds01":
        harness.engine.start(ALICE_THESIS)
    else:
        harness.gate.start(harness.actor("alice"), ALICE_THESIS)
    harness.clock.time = right + timedelta(hours=1)
    report = runs_for(ticker, timedelta(minutes=10), boot="second")
    assert report.complete
    assert harness.record("alice").started_at == harness.clock.time
    for minutes in (15, 20):
        harness.clock.advance(minutes=5)
        report = runs_for(ticker, timedelta(minutes=minutes), boot="second")
        assert ALICE_THESIS not in {item.container for item in (*report.warned, *report.acted)}
    assert ticker.state() == "running"


def test_a_start_that_an_earlier_tick_saw_is_as_it_was(ticker: TickHarness) -> None:
    started = ticker.start_container().started_at
    for _ in range(3):
        ticker.tick(hours=1)
    assert ticker.harness.record("alice").started_at == started


def test_a_start_while_ticks_could_look_at_nothing_is_as_it_was(ticker: TickHarness) -> None:
    harness = ticker.harness
    ticker.start_container("bob")
    inventory = harness.inventory
    harness.inventory = NoAnswer()
    harness.gate.create(harness.actor("alice"), harness.request("alice", gpus=0))
    harness.gate.start(harness.actor("alice"), ALICE_THESIS)
    started = harness.record("alice").started_at
    for _ in range(3):
        assert not ticker.run_tick(hours=2).succeeded
    harness.inventory = inventory
    assert ticker.run_tick(minutes=10).succeeded
    assert harness.record("alice").started_at == started


def test_a_lease_by_hand_that_is_in_use_is_as_it_was(ticker: TickHarness) -> None:
    harness = ticker.harness
    boss, job = harness.actor("boss"), "job._.70001"
    harness.gate.allocate(boss, 70001, "job", GpuRequest(1))
    harness.gate.mark(boss, job, Trigger.STOP)
    harness.gate.mark(boss, job, Trigger.START)
    before = harness.record("alice", "job")
    for _ in range(3):
        ticker.tick(hours=1)
    assert harness.record("alice", "job") == before
