"""The figures of a period, what the reader may see of them, and the files and tables that are made of them."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ds01.api.seeing.report import GetReport, Report, ReportBy, ReportRow
from ds01.api.seeing.report_csv import harmless, report_csv
from ds01.errors import UsageError
from ds01.host.commands.monthly_report import write_monthly_report
from ds01.observe.accounting.disk import DiskUse, record_disk_use
from ds01.observe.report.period import report_of_period
from ds01.policy.model import ReportSettings
from tests.accounting_harness import AccountingHarness
from tests.actions import create_container
from tests.harness import NOON, Harness
from tests.tick_harness import TickHarness

BERLIN = ZoneInfo("Europe/Berlin")
THESIS = "thesis._.70001"
HOUR = timedelta(hours=1)


@pytest.fixture
def accounting(harness: Harness) -> AccountingHarness:
    harness.set_policy(
        "defaults: {max_mig_instances: 2, max_gpus_per_container: 2, idle_timeout: 10h}\n"
        "groups: {admins: {members: [boss], admin: true}, students: {members: [alice, bob]}}\n"
        "report: {energy_price: 0.5, co2_grams_per_kwh: 400}\n"
    )
    return AccountingHarness(harness)


def report(
    accounting: AccountingHarness,
    by: ReportBy = ReportBy.USER,
    *,
    who: str = "boss",
    since: datetime = NOON,
    until: datetime = NOON + timedelta(days=30),
    anonymous: bool = False,
) -> Report:
    harness = accounting.harness
    found: Report = harness.gate.run(harness.actor(who), GetReport(since, until, by, anonymous))
    return found


def row(found: Report, name: str) -> ReportRow:
    return next(each for each in found.rows if each.name == name)


def hours(found: Report) -> dict[str, float]:
    return {each.name: each.leased / HOUR for each in (*found.rows, found.total)}


def test_leased_and_held_hours_by_everything(accounting: AccountingHarness) -> None:
    harness = accounting.harness
    create_container(harness, "alice", gpus=2, start=True, project="wind")
    harness.clock.advance(hours=2)
    harness.gate.stop(harness.actor("alice"), THESIS)
    create_container(harness, "bob", start=True)
    harness.clock.advance(hours=1)
    accounting.tick()
    assert hours(report(accounting)) == {"alice": 6, "bob": 1, "total": 7}
    assert row(report(accounting), "alice").held == 2 * HOUR
    assert row(report(accounting), "alice").leases == 2
    assert hours(report(accounting, ReportBy.GROUP)) == {"students": 7, "total": 7}
    assert hours(report(accounting, ReportBy.PROJECT)) == {"wind": 6, "thesis": 1, "total": 7}
    assert hours(report(accounting, ReportBy.GPU)) == {"1": 7, "total": 7}
    assert hours(report(accounting, ReportBy.IMAGE)) == {"pytorch/pytorch": 7, "total": 7}


def test_without_a_tick_the_leases_are_exact_up_to_now(accounting: AccountingHarness) -> None:
    create_container(accounting.harness, "alice", start=True)
    accounting.harness.clock.advance(minutes=90)
    found = report(accounting)
    assert hours(found) == {"alice": 1.5, "total": 1.5}
    assert found.problem is not None and "none yet" in found.problem
    accounting.tick()
    accounting.harness.clock.advance(minutes=30)
    assert hours(report(accounting)) == {"alice": 2, "total": 2}
    assert report(accounting).problem is None


def test_a_report_writes_nothing(accounting: AccountingHarness) -> None:
    create_container(accounting.harness, "alice")
    accounting.record()
    accounting.harness.clock.advance(minutes=30)
    before = accounting.path.read_bytes()
    report(accounting)
    assert accounting.path.read_bytes() == before


def test_leases_are_cut_at_both_ends_of_the_period(accounting: AccountingHarness) -> None:
    create_container(accounting.harness, "alice", start=True)
    accounting.harness.clock.advance(hours=10)
    found = report(accounting, since=NOON + 2 * HOUR, until=NOON + 5 * HOUR)
    assert hours(found) == {"alice": 3, "total": 3}
    assert (found.since, found.until) == (NOON + 2 * HOUR, NOON + 5 * HOUR)


def test_idle_and_used_are_known_only_where_they_were_measured(accounting: AccountingHarness) -> None:
    create_container(accounting.harness, "alice", start=True)
    ticker = TickHarness(accounting.harness)
    ticker.set_cpu_time(0)
    accounting.set_gpus(slot_1_0=None)
    accounting.tick(hours=1)
    accounting.tick(hours=1)
    unmeasured = row(report(accounting), "alice")
    assert (unmeasured.idle, unmeasured.used) == (HOUR, None)
    assert (unmeasured.judged, unmeasured.measured) == (0.5, 0)
    accounting.set_gpus(slot_1_0=50.0)
    accounting.tick(hours=1)
    measured = row(report(accounting), "alice")
    assert (measured.idle, measured.used) == (HOUR, HOUR / 2)
    assert measured.measured == pytest.approx(1 / 3, abs=1e-3)


def test_a_manual_lease_has_unknown_idle_time(accounting: AccountingHarness) -> None:
    from ds01.gpus.model import GpuRequest

    accounting.harness.gate.allocate(accounting.harness.actor("boss"), 70001, "hand", GpuRequest(1))
    accounting.set_gpus(slot_1_0=0.0)
    accounting.tick()
    accounting.tick(hours=1)
    found = row(report(accounting), "alice")
    assert (found.idle, found.used) == (None, timedelta(0))


def test_energy_with_cost_and_co2(accounting: AccountingHarness) -> None:
    accounting.set_energy(gpu_0=0.0, gpu_1=0.0)
    create_container(accounting.harness, "alice", start=True)
    accounting.tick()
    accounting.set_energy(gpu_0=7_200_000.0, gpu_1=10_800_000.0)
    accounting.tick(hours=1)
    found = report(accounting)
    alice = row(found, "alice")
    assert (alice.energy_kwh, alice.energy_estimated, alice.cost, alice.co2_kg) == (1.0, True, 0.5, 0.4)
    assert found.gpu_energy_kwh == 5.0
    gpus = report(accounting, ReportBy.GPU)
    assert [(each.name, each.energy_kwh, each.energy_estimated) for each in gpus.rows] == [
        ("1", 3.0, False), ("0", 2.0, False),
    ]  # fmt: skip


def test_waits_idle_stops_extensions_and_disk(accounting: AccountingHarness) -> None:
    harness = accounting.harness
    create_container(harness, "alice", start=True)
    harness.gate.extend(harness.actor("alice"), THESIS, 2 * HOUR)
    wait = {"uid": 70001, "group": "students", "project": "thesis", "image": "i", "outcome": "served"}
    for minutes in (10, 30):
        harness.clock.advance(seconds=1)
        harness.emit("wait", wait | {"user": "alice", "container": THESIS, "seconds": timedelta(minutes=minutes)})
    TickHarness(harness).set_cpu_time(0)
    for _ in range(16):
        accounting.tick(hours=1)
    record_disk_use(harness.ledger, harness.clock(), [DiskUse(70001, "alice", "images", 7)])
    harness.clock.advance(seconds=1)
    alice = row(report(accounting), "alice")
    assert (alice.waits, alice.wait_mean, alice.wait_longest) == (2, timedelta(minutes=20), timedelta(minutes=30))
    assert (alice.idle_stops, alice.extensions, alice.disk_bytes) == (1, 1, 7)
    gpu = row(report(accounting, ReportBy.GPU), "1")
    assert (gpu.waits, gpu.idle_stops, gpu.extensions, gpu.disk_bytes) == (None, 1, 1, None)
    assert row(report(accounting, ReportBy.GROUP), "students").waits == 2


def test_users_see_their_own_row_and_the_sum_of_all_others(accounting: AccountingHarness) -> None:
    harness = accounting.harness
    for login, project in (("alice", "wind"), ("bob", "wind"), ("carol", "sea")):
        create_container(harness, login, start=True, project=project)
    harness.clock.advance(hours=1)
    assert hours(report(accounting, who="alice")) == {"alice": 1, "others": 2, "total": 3}
    assert hours(report(accounting, ReportBy.PROJECT, who="alice")) == {"wind": 1, "others": 2, "total": 3}
    assert hours(report(accounting, ReportBy.IMAGE, who="alice")) == {"pytorch/pytorch": 1, "others": 2, "total": 3}
    assert hours(report(accounting, ReportBy.GROUP, who="alice")) == {"students": 2, "default": 1, "total": 3}
    assert hours(report(accounting, ReportBy.GPU, who="alice")) == {"1": 3, "total": 3}
    assert hours(report(accounting, who="boss")) == {"alice": 1, "bob": 1, "carol": 1, "total": 3}


@pytest.mark.parametrize("by", list(ReportBy))
def test_an_anonymous_report_names_nobody(accounting: AccountingHarness, by: ReportBy) -> None:
    harness = accounting.harness
    create_container(harness, "bob", start=True, project="secret", image="private/image")
    harness.clock.advance(hours=1)
    create_container(harness, "alice", start=True, project="hidden", image="private/image")
    harness.clock.advance(hours=1)
    found = report(accounting, by, anonymous=True)
    text = json.dumps([each.name for each in found.rows]) + report_csv(found)
    for word in ("alice", "bob", "secret", "hidden", "private", "thesis"):
        assert word not in text
    if by is ReportBy.USER:
        assert hours(found) == {"user 1": 2, "user 2": 1, "total": 3}


def test_points_and_hours_of_the_week(accounting: AccountingHarness) -> None:
    harness = accounting.harness  # it is a Monday
    create_container(harness, "alice", gpus=2, start=True)
    accounting.set_gpus(slot_1_0=100.0, slot_1_1=0.0)
    accounting.tick()
    for _ in range(4):
        accounting.tick(minutes=30)
    harness.gate.stop(harness.actor("alice"), THESIS)
    harness.clock.advance(hours=1)
    found = report_of_period(
        harness.ledger, accounting.log, ReportSettings(), (NOON, harness.clock()), by=ReportBy.USER,
        now=harness.clock(), zone=timezone.utc,
    )  # fmt: skip
    assert [(point.leased, point.held, point.utilisation) for point in found.points] == [
        (2, 0, 50.0), (2, 0, 50.0), (2, 2, None),
    ]  # fmt: skip
    assert [(each.weekday, each.hour, each.leased) for each in found.week] == [(0, 12, 2), (0, 13, 2), (0, 14, 2)]


def test_days_have_23_and_25_hours_when_clocks_change(accounting: AccountingHarness) -> None:
    harness = accounting.harness
    harness.clock.time = datetime(2026, 10, 20, tzinfo=timezone.utc)
    create_container(harness, "alice", start=True)
    harness.clock.advance(days=10)
    period = datetime(2026, 10, 20, tzinfo=BERLIN) + timedelta(days=1), datetime(2026, 10, 27, tzinfo=BERLIN)
    found = report_of_period(
        harness.ledger, accounting.log, ReportSettings(), period, by=ReportBy.USER, now=harness.clock(), zone=BERLIN
    )
    assert [(point.until - point.since) / HOUR for point in found.points] == [24, 24, 24, 24, 25, 24]
    assert {point.leased for point in found.points} == {1}
    assert hours(found)["alice"] == 145
    assert len(found.week) == 144


@pytest.mark.parametrize(
    ("since", "until"), [(NOON, NOON), (NOON + HOUR, NOON), (NOON + timedelta(days=1), NOON + timedelta(days=2))]
)
def test_a_period_that_is_none_is_wrong_use(accounting: AccountingHarness, since: datetime, until: datetime) -> None:
    with pytest.raises(UsageError):
        report(accounting, since=since, until=until)


def test_a_user_without_leases_sees_the_sum_of_others(accounting: AccountingHarness) -> None:
    create_container(accounting.harness, "bob")
    accounting.harness.clock.advance(hours=1)
    assert hours(report(accounting, who="alice")) == {"others": 1, "total": 1}


def test_csv_has_a_row_for_each_and_one_for_the_sum(accounting: AccountingHarness) -> None:
    create_container(accounting.harness, "alice", start=True)
    accounting.harness.clock.advance(hours=1)
    rows = list(csv.DictReader(io.StringIO(report_csv(report(accounting)))))
    assert [(each["user"], each["leased_hours"], each["used_hours"]) for each in rows] == [
        ("alice", "1.0000", ""), ("total", "1.0000", ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("cell", "safe"),
    [("=1+1", "'=1+1"), ("+x", "'+x"), ("-x", "'-x"), ("@x", "'@x"), ("\tx", "'?x"), ("\rx", "'?x"), ("a\nb", "a?b"),
     ("a=b", "a=b"), ("", ""), ("\u202ex", "'?x"), ("bob", "bob")],
)  # fmt: skip
def test_no_cell_is_a_formula(cell: str, safe: str) -> None:
    assert harmless(cell) == safe


def test_the_report_of_a_month_is_written_once_when_the_month_is_over(
    accounting: AccountingHarness, tmp_path: Path
) -> None:
    harness, folder = accounting.harness, tmp_path / "reports"
    folder.mkdir()
    create_container(harness, "alice", start=True)

    def write(now: datetime) -> list[str]:
        settings = ReportSettings(monthly=str(folder))
        write_monthly_report(harness.ledger, accounting.log, settings, now, BERLIN, server="gpu.example.org")
        return sorted(path.name for path in folder.iterdir())

    harness.clock.advance(days=2)
    assert write(harness.clock()) == [f"ds01-report-2026-11.{kind}" for kind in ("csv", "html", "json")]
    page = (folder / "ds01-report-2026-11.html").read_text()
    assert page.startswith("<!doctype html>") and "gpu.example.org" in page and "<bdi>alice</bdi>" in page
    document: dict[str, Any] = json.loads((folder / "ds01-report-2026-11.json").read_text())
    assert document["until"] == "2026-11-30T23:00:00Z"
    assert document["total"]["leased"] == 11 * 3600
    assert (folder / "ds01-report-2026-11.csv").stat().st_mode & 0o777 == 0o644
    (folder / "ds01-report-2026-11.csv").write_text("kept")
    write(harness.clock())
    assert (folder / "ds01-report-2026-11.csv").read_text() == "kept"
