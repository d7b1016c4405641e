"""A month of use, played through the gate with an hourly tick: the report adds up to exactly what the records say."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path

import pytest

from ds01.api.seeing.report import GetReport, Report, ReportBy
from ds01.errors import Ds01Error
from ds01.gpus.model import GpuRequest
from ds01.observe.accounting.times import to_time
from ds01.records.record import Record
from ds01.records.state_machine import State
from tests.accounting_harness import AccountingHarness, lease_sum, lease_times
from tests.harness import Clock, Harness

BEGIN = datetime(2026, 11, 1, tzinfo=timezone.utc)
DAYS = 30
LIMIT = 60.0  # seconds of CPU time for a month
POLICY = """\
defaults: {max_mig_instances: 2, max_gpus_per_container: 2, max_containers_per_user: 3, idle_timeout: 4h,
           gpu_hold_after_stop: 6h, container_hold_after_stop: 40h, max_extension: 10h}
groups:
  admins: {members: [boss], admin: true, max_mig_instances: null}
  students: {members: [alice], gpu_hold_after_stop: 10m}
"""
PEOPLE = ("alice", "bob", "carol")


@dataclass
class Month:
    """People who use containers, by chance."""

    accounting: AccountingHarness
    chance: random.Random
    done: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    work: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def play(self, days: float) -> None:
        """Play some days: a few actions at odd times in each hour, then the tick."""
        harness = self.accounting.harness
        for _ in range(int(days * 24)):
            left = 3600.0
            for _ in range(self.chance.randint(0, 2)):
                step = self.chance.uniform(1, left / 2)
                left -= step
                harness.clock.advance(seconds=round(step, 6))
                self._act()
            harness.clock.advance(seconds=round(left, 6))
            self._use()
            self.accounting.set_gpus(slot_0=self.chance.choice((None, 0.0, 80.0)), slot_1_0=self.chance.uniform(0, 99))
            self.accounting.tick()

    def _act(self) -> None:
        """Do one thing that may be refused, as people do."""
        harness = self.accounting.harness
        login = self.chance.choice(PEOPLE)
        name = self.chance.choice(("thesis", "wind", "sea"))
        full = harness.full(login, name)
        actions: dict[str, tuple[int, Callable[[], object]]] = {
            "create": (6, lambda: self._create(login, name)),
            "start": (4, lambda: harness.gate.start(harness.actor(login), full)),
            "recreate": (1, lambda: harness.gate.start(harness.actor(login), full, recreate=True)),
            "stop": (3, lambda: harness.gate.stop(harness.actor(login), full)),
            "release": (1, lambda: harness.gate.stop(harness.actor(login), full, release=True)),
            "retire": (1, lambda: harness.gate.remove(harness.actor(login), full, force=True)),
            "extend": (1, lambda: harness.gate.extend(harness.actor(login), full, timedelta(hours=2))),
            "remake": (1, lambda: harness.gate.remake(harness.actor(login), full)),
            "crash": (1, lambda: harness.engine.kill(full)),
            "start outside": (1, lambda: self._start_outside(login, name)),
            "remove outside": (1, lambda: harness.engine.remove_by_force(full)),
            "lend": (1, lambda: harness.gate.allocate(harness.actor("boss"), 70003, "hand", GpuRequest(1))),
            "take back": (1, lambda: harness.gate.release(harness.actor("boss"), "hand._.70003")),
            "lose": (1, lambda: self._lose_fresh_record(login, name)),
        }
        action = self.chance.choices(list(actions), [weight for weight, _ in actions.values()])[0]
        with suppress(Ds01Error):
            actions[action][1]()
            self.done[action] += 1

    def _create(self, login: str, name: str) -> None:
        harness = self.accounting.harness
        count = self.chance.choice((0, 1, 1, 1, 2))
        project, image = self.chance.choice(("north", "south")), self.chance.choice(("pytorch/pytorch", "jax/jax"))
        request = harness.request(login, name, count, project=project, image=image)
        harness.gate.create(harness.actor(login), request)
        harness.gate.start(harness.actor(login), harness.full(login, name))

    def _start_outside(self, login: str, name: str) -> None:
        """Start a container outside ds01 on slots that nobody has: when a conflict ends, no history says."""
        harness = self.accounting.harness
        record = harness.record(login, name) if harness.record_file(login, name).exists() else None
        if record is None or {ref.uuid for ref in record.gpus_fixed} & set(harness.leased()):
            raise Ds01Error("not this one")
        harness.engine.start(record.container_name)

    def _lose_fresh_record(self, login: str, name: str) -> None:
        """Lose the record of a container that has had its GPU since it was created: labels say no more than that."""
        harness = self.accounting.harness
        harness.gate.reconcile(harness.actor("boss"))  # a record without a container could not be made again
        record = harness.record(login, name) if harness.record_file(login, name).exists() else None
        if record is None or record.state is not State.RUNNING or len(record.history) > 2 or record.lease is None:
            raise Ds01Error("not this one")
        harness.record_file(login, name).unlink()
        harness.another_gate().containers(harness.actor(login))

    def _use(self) -> None:
        """Let some containers compute."""
        harness = self.accounting.harness
        for record in sorted(harness.records(), key=lambda record: record.container_name):
            if record.state is State.RUNNING and record.docker_id is not None:
                self.work[record.id] += self.chance.choice((0, 0, 1800))
                nanoseconds = int(self.work[record.id] * 1e9)
                with suppress(Ds01Error):
                    harness.engine.set_usage(record.container_name, cpu_nanoseconds=nanoseconds, network_bytes=0)


@pytest.fixture
def month(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Month:
    monkeypatch.setattr("os.fsync", lambda descriptor: None)  # power stays on for a month
    monkeypatch.setattr("ds01.automation.executor.MAX_PARALLEL", 1)  # the same month each time
    harness = Harness(tmp_path / "bed", policy=POLICY, gpus="1xA100,1xA100:3x2g.10gb", clock=Clock(BEGIN))
    return Month(AccountingHarness(harness), random.Random(20261101))


def report(month: Month, by: ReportBy, **period: datetime) -> Report:
    harness = month.accounting.harness
    bounds = {"since": BEGIN, "until": BEGIN + timedelta(days=DAYS + 1)} | period
    found: Report = harness.gate.run(harness.actor("boss"), GetReport(bounds["since"], bounds["until"], by))
    return found


def leased(found: Report) -> dict[str, timedelta]:
    return {row.name: row.leased for row in found.rows if row.leased}


def by(month: Month, key: Callable[[Record], str]) -> dict[str, timedelta]:
    """Return what the records add up to."""
    groups: defaultdict[str, list[Record]] = defaultdict(list)
    for record in month.accounting.all_records():
        groups[key(record)].append(record)
    sums = {name: lease_sum(records, month.accounting.harness.clock()) for name, records in groups.items()}
    return {name: value for name, value in sums.items() if value}


def held(month: Month) -> timedelta:
    """Return for how long stopped containers kept their slots, according to the records."""
    total = timedelta(0)
    for record in month.accounting.all_records():
        for step, following in zip(record.history, [*record.history[1:], None], strict=True):
            if step.to is State.HELD:
                end = month.accounting.harness.clock() if following is None else following.at
                total += (end - step.at) * len(record.gpus_fixed)
    return total


def assert_exact(month: Month) -> None:
    """Compare the report with the records."""
    assert leased(report(month, ReportBy.USER)) == by(month, lambda record: record.user)
    assert leased(report(month, ReportBy.GROUP)) == by(month, lambda record: record.group)
    assert leased(report(month, ReportBy.PROJECT)) == by(month, lambda record: record.project or "(none)")
    assert leased(report(month, ReportBy.IMAGE)) == by(month, lambda record: record.image)
    total = report(month, ReportBy.GPU).total
    assert total.leased == lease_sum(month.accounting.all_records(), month.accounting.harness.clock())
    assert total.held == held(month)


def assert_each_record(month: Month) -> None:
    """Compare the database with each record, to see which one differs."""
    for record in month.accounting.all_records():
        now = month.accounting.harness.clock()
        rows = month.accounting.rows("SELECT since, until FROM leases WHERE record = ?", record.id)
        found = sum(((to_time(end) if end else now) - to_time(begin) for begin, end in rows), timedelta(0))
        assert found == lease_sum([record], now), (record.container_name, rows, record.history)


@pytest.mark.timeout(600)  # on a busy machine; it takes half a minute
def test_a_month_adds_up_to_what_the_records_say(month: Month) -> None:
    began = time.process_time()
    month.play(DAYS)
    assert_each_record(month)
    assert_exact(month)
    assert time.process_time() - began < LIMIT
    assert len(month.done) >= 12, month.done  # of 14
    total = report(month, ReportBy.USER).total
    assert total.leased > timedelta(days=20)
    assert total.idle_stops and total.extensions and total.idle and total.used
    assert total.idle + total.held < total.leased


def test_days_add_up_to_the_month(month: Month) -> None:
    month.play(6)
    days = [BEGIN + timedelta(days=day) for day in range(7)]
    parts = [report(month, ReportBy.USER, since=since, until=until) for since, until in pairwise(days)]
    whole = report(month, ReportBy.USER, since=days[0], until=days[-1])
    assert sum((part.total.leased for part in parts), timedelta(0)) == whole.total.leased
    assert sum((part.total.held for part in parts), timedelta(0)) == whole.total.held
    assert sum((part.total.used or timedelta(0) for part in parts), timedelta(0)) == whole.total.used


def test_a_database_that_is_deleted_costs_measurements_only(month: Month) -> None:
    month.play(5)
    used = report(month, ReportBy.USER).total.used
    month.accounting.path.unlink()
    assert report(month, ReportBy.USER).total.used is None
    assert_exact(month)
    month.play(5)
    assert_exact(month)
    later = report(month, ReportBy.USER)
    assert later.total.used is not None and used is not None
    assert later.measured_since is not None and later.measured_since >= BEGIN + timedelta(days=5)


def test_a_database_that_is_deleted_with_the_log_takes_the_leases_from_the_records(month: Month) -> None:
    month.play(5)
    month.accounting.path.unlink()
    (month.accounting.log / "events.jsonl").unlink()
    month.accounting.tick()
    truth = {record.id for record in month.accounting.all_records() if list(lease_times(record, BEGIN))}
    assert {row[0] for row in month.accounting.rows("SELECT DISTINCT record FROM leases")} <= truth
    assert_exact(month)
