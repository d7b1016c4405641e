"""Leases from any events, merging of measurements, and cutting by periods."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from ds01.observe.accounting.lease_book import LeasedSlot, LeaseEvent, LeaseOwner, apply_event
from ds01.observe.accounting.rows import PeriodRows, read_rows
from ds01.observe.accounting.sampling import (
    AMOUNTS,
    EnergyRow,
    SampleRow,
    add,
    at_full_hours,
    cut_sample,
    energy_at_full_hours,
)
from ds01.observe.accounting.schema import prepare
from ds01.observe.accounting.thinning import insert_energy, insert_samples, thin
from ds01.observe.accounting.times import HOUR, SECOND, day_begin, hours_between, next_day, share, to_number, to_time
from ds01.observe.report.figures import overlap
from ds01.observe.report.series import report_series

ZONES = st.sampled_from(
    [timezone.utc, ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kolkata"), ZoneInfo("America/St_Johns")]
)
DAY = 24 * HOUR
START = to_number(datetime(2026, 10, 20, tzinfo=timezone.utc))  # clocks change in Europe on the 25th
TIMES = st.integers(START, START + 20 * DAY)
CHANGES = st.sampled_from(["allocated", "held", "resumed", "released"])


@contextmanager
def database() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        prepare(connection)
        yield connection


def event(change: str, at: int, record: int = 0, *, corrected: bool = False, rebuilt: bool = False) -> LeaseEvent:
    owner = LeaseOwner(f"r{record}", "thesis._.70001", "alice", 70001, "default", None, "image")
    return LeaseEvent(change, owner, LeasedSlot("GPU-0", "0", "GPU-0", "full", None), at, None, rebuilt, corrected)


EVENTS = st.lists(
    st.builds(event, CHANGES, TIMES, st.integers(0, 1), corrected=st.booleans(), rebuilt=st.booleans()), max_size=12
)


@given(EVENTS)
def test_whatever_the_log_says_spans_fill_their_lease_without_gaps(events: list[LeaseEvent]) -> None:
    with database() as connection:
        for each in events:
            apply_event(connection, each)
        for lease, since, until in connection.execute("SELECT id, since, until FROM leases").fetchall():
            query = "SELECT since, until FROM spans WHERE lease = ? ORDER BY rowid"
            spans = connection.execute(query, (lease,)).fetchall()
            assert spans[0][0] == since and spans[-1][1] == until
            assert all(one[1] == other[0] for one, other in pairwise(spans))
            assert all(end is None or begin <= end for begin, end in spans)
        query = "SELECT record, count(*) FROM leases WHERE until IS NULL GROUP BY record"
        assert all(count == 1 for _, count in connection.execute(query))


@st.composite
def lives(draw: st.DrawFn) -> list[LeaseEvent]:
    """Draw the events of a lease that is given back and taken again, at increasing times."""
    events, at = [], START
    for _ in range(draw(st.integers(1, 4))):
        changes = ["allocated"]
        for _ in range(draw(st.integers(0, 3))):
            changes += ["held", "resumed"]
        for change in [*changes, "released"]:
            at += draw(st.integers(1, DAY))
            events.append(event(change, at))
    return events


@given(lives(), st.data())
def test_a_life_adds_up_and_reading_a_part_of_it_again_changes_nothing(
    events: list[LeaseEvent], data: st.DataObject
) -> None:
    begins = [each.at for each in events if each.change == "allocated"]
    ends = [each.at for each in events if each.change == "released"]
    with database() as connection:
        for each in events:
            apply_event(connection, each)
        for each in events[data.draw(st.integers(0, len(events))) :]:
            apply_event(connection, each)
        rows = connection.execute("SELECT since, until FROM leases ORDER BY since").fetchall()
        assert rows == list(zip(begins, ends, strict=True))
        held = sum(end - begin for begin, end in _pairs(events))
        query = "SELECT coalesce(sum(until - since), 0) FROM spans WHERE state = 'held'"
        assert connection.execute(query).fetchone() == (held,)


def _pairs(events: list[LeaseEvent]) -> Iterator[tuple[int, int]]:
    for one, other in pairwise(events):
        if one.change == "held":
            yield one.at, other.at


AMOUNT = st.integers(0, 1 << 50)
SAMPLES = st.lists(
    st.builds(
        lambda lease, since, length, amounts: SampleRow(
            lease, since, since + length, **dict(zip(AMOUNTS, amounts, strict=True))
        ),
        st.integers(1, 3),
        TIMES,
        st.integers(1, 2 * HOUR),
        st.lists(AMOUNT, min_size=len(AMOUNTS), max_size=len(AMOUNTS)),
    ),
    max_size=8,
)


def amounts(rows: list[SampleRow]) -> dict[int, tuple[int, ...]]:
    sums: dict[int, SampleRow] = {}
    for row in rows:
        sums[row.lease] = add(sums[row.lease], row) if row.lease in sums else row
    return {lease: tuple(getattr(row, name) for name in AMOUNTS) for lease, row in sums.items()}


@given(SAMPLES, ZONES)
def test_cutting_at_full_hours_keeps_every_sum(rows: list[SampleRow], zone: timezone) -> None:
    pieces = at_full_hours(rows, zone)
    assert amounts(pieces) == amounts(rows)
    assert all(piece.until - piece.since <= HOUR for piece in pieces)


@settings(deadline=None)
@given(SAMPLES, ZONES, st.integers(0, 130), st.integers(1, 5))
def test_merging_keeps_the_sums_of_every_day(rows: list[SampleRow], zone: timezone, age: int, batch: int) -> None:
    energy = [EnergyRow(f"GPU-{row.lease}", row.since, row.until, row.energy) for row in rows]
    with database() as connection:
        insert_samples(connection, at_full_hours(rows, zone))
        insert_energy(connection, energy_at_full_hours(energy, zone))
        days = [day_begin(START, zone)]
        while days[-1] < START + 21 * DAY:
            days.append(next_day(days[-1], zone))
        before = [read_rows(connection, since, until) for since, until in pairwise(days)]
        for _ in range(40):
            thin(connection, START + age * DAY, zone, batch=batch)
        after = [read_rows(connection, since, until) for since, until in pairwise(days)]
        for one, other in zip(before, after, strict=True):
            assert amounts(list(one.samples.values())) == amounts(list(other.samples.values()))
            assert one.energy == other.energy


@settings(deadline=None)
@given(SAMPLES)
def test_old_measurements_become_few(rows: list[SampleRow]) -> None:
    with database() as connection:
        insert_samples(connection, at_full_hours(rows, timezone.utc))
        for _ in range(3):
            thin(connection, START + 200 * DAY, timezone.utc)
        query = "SELECT lease, since / ?, count(*) FROM samples GROUP BY 1, 2"
        assert all(count == 1 for *_, count in connection.execute(query, (DAY,)))


@given(SAMPLES, st.lists(TIMES, min_size=1, max_size=5))
def test_parts_of_a_measurement_add_up(rows: list[SampleRow], cuts: list[int]) -> None:
    borders = [START, *sorted(cuts), START + 21 * DAY]
    for row in rows:
        parts = [cut_sample(row, since, until) for since, until in pairwise(borders)]
        assert amounts(parts) == amounts([row])


@given(TIMES, TIMES, st.lists(TIMES, min_size=2, max_size=6))
def test_the_parts_of_a_lease_in_consecutive_periods_add_up(one: int, other: int, borders: list[int]) -> None:
    since, until = sorted((one, other))
    borders = sorted(borders)
    parts = [overlap(since, until, PeriodRows(*pair)) for pair in pairwise(borders)]
    assert sum(parts) == overlap(since, until, PeriodRows(borders[0], borders[-1]))


@settings(deadline=None)
@given(lives(), TIMES, TIMES, ZONES)
def test_the_points_of_a_chart_add_up_to_the_leases(
    events: list[LeaseEvent], one: int, other: int, zone: timezone
) -> None:
    since, until = min(one, other), max(one, other) + SECOND
    with database() as connection:
        for each in events:
            apply_event(connection, each)
        rows = read_rows(connection, since, until)
    points, week = report_series(rows, zone)
    whole = sum(overlap(lease.since, lease.until, rows) for lease in rows.leases)
    drawn = sum(point.leased * (point.until - point.since).total_seconds() for point in points)
    length = (until - since) / SECOND
    assert abs(drawn - whole / SECOND) <= 0.001 * length + 1
    assert (points[0].since, points[-1].until) == (to_time(since), to_time(until))
    assert {(each.weekday, each.hour) for each in week} <= {(day, hour) for day in range(7) for hour in range(24)}


@given(TIMES, st.integers(1, 5 * DAY), ZONES)
def test_hours_cover_a_period_without_gaps(since: int, length: int, zone: timezone) -> None:
    hours = list(hours_between(since, since + length, zone))
    assert (hours[0][0], hours[-1][1]) == (since, since + length)
    assert all(one[1] == other[0] for one, other in pairwise(hours))


@given(st.integers(0, 1 << 60), st.integers(1, 1 << 40), st.lists(st.integers(0, 1 << 40), max_size=5))
def test_shares_add_up(amount: int, total: int, cuts: list[int]) -> None:
    borders = [0, *sorted(cut % (total + 1) for cut in cuts), total]
    parts = [share(amount, begin, end, total) for begin, end in pairwise(borders)]
    assert sum(parts) == amount
