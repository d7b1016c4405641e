"""Figures over time, for charts: by day or hour, and by hour of the week. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from datetime import tzinfo

from ds01.api.seeing.report import ReportHour, ReportPoint
from ds01.dataclass import dataclass
from ds01.observe.accounting.rows import PeriodRows
from ds01.observe.accounting.times import HOUR, day_begin, hour_begin, hours_between, to_time

HOURLY_UP_TO = 4 * 24 * HOUR  # of a longer period, a point is a day


@dataclass
class _Hour:
    """One full hour, or the part of it that lies in the period, in microseconds."""

    since: int
    until: int
    leased: int = 0
    held: int = 0
    measured: int = 0
    used: int = 0


def report_series(rows: PeriodRows, zone: tzinfo) -> tuple[tuple[ReportPoint, ...], tuple[ReportHour, ...]]:
    """Return the points of the period, and the hours of the week."""
    hours = _hours(rows, zone)
    begin = hour_begin if rows.until - rows.since <= HOURLY_UP_TO else day_begin
    return tuple(_points(hours, begin, zone)), tuple(_week(hours, zone))


def _hours(rows: PeriodRows, zone: tzinfo) -> list[_Hour]:
    hours = [_Hour(since, until) for since, until in hours_between(rows.since, rows.until, zone)]
    leased, held = _Spread(rows, hours), _Spread(rows, hours)
    for lease in rows.leases:
        leased.add(lease.since, lease.until)
        for since, until in lease.held:
            held.add(since, until)
    for hour, one, other in zip(hours, leased.amounts(), held.amounts(), strict=True):
        hour.leased, hour.held = one, other
        hour.measured, hour.used = rows.by_hour.get(hour_begin(hour.since, zone), (0, 0))
    return hours


class _Spread:
    """Times spread over the hours. Only the first and the last hour of each are touched: a year has 8760."""

    def __init__(self, rows: PeriodRows, hours: list[_Hour]) -> None:
        self._rows = rows
        self._hours = hours
        self._begins = [hour.since for hour in hours]
        self._partly = [0] * len(hours)
        self._changes = [0] * (len(hours) + 1)  # of the number of times that cover an hour completely

    def add(self, since: int, until: int | None) -> None:
        begin = max(since, self._rows.since)
        end = self._rows.until if until is None else min(until, self._rows.until)
        if begin >= end:
            return
        first, last = bisect_right(self._begins, begin) - 1, bisect_right(self._begins, end - 1) - 1
        if first == last:
            self._partly[first] += end - begin
            return
        self._partly[first] += self._hours[first].until - begin
        self._partly[last] += end - self._hours[last].since
        self._changes[first + 1] += 1
        self._changes[last] -= 1

    def amounts(self) -> list[int]:
        """Return the time in each hour."""
        amounts, covering = [], 0
        for hour, part, change in zip(self._hours, self._partly, self._changes, strict=False):
            covering += change
            amounts.append(part + covering * (hour.until - hour.since))
        return amounts


def _points(hours: list[_Hour], begin: Callable[[int, tzinfo], int], zone: tzinfo) -> list[ReportPoint]:
    merged: dict[int, _Hour] = {}
    for hour in hours:
        key = begin(hour.since, zone)
        if key in merged:
            _add(merged[key], hour)
            merged[key].until = hour.until
        else:
            merged[key] = _Hour(hour.since, hour.until, hour.leased, hour.held, hour.measured, hour.used)
    return [
        ReportPoint(
            to_time(each.since),
            to_time(each.until),
            round(each.leased / (each.until - each.since), 3),
            round(each.held / (each.until - each.since), 3),
            _percent(each),
        )
        for each in merged.values()
    ]


def _week(hours: list[_Hour], zone: tzinfo) -> list[ReportHour]:
    merged: dict[tuple[int, int], _Hour] = {}
    lengths: dict[tuple[int, int], int] = {}
    for hour in hours:
        local = to_time(hour.since).astimezone(zone)
        key = (local.weekday(), local.hour)
        _add(merged.setdefault(key, _Hour(0, 0)), hour)
        lengths[key] = lengths.get(key, 0) + hour.until - hour.since
    return [
        ReportHour(*key, round(merged[key].leased / lengths[key], 3), _percent(merged[key])) for key in sorted(merged)
    ]


def _add(one: _Hour, other: _Hour) -> None:
    one.leased += other.leased
    one.held += other.held
    one.measured += other.measured
    one.used += other.used


def _percent(hour: _Hour) -> float | None:
    return round(100 * hour.used / hour.measured, 1) if hour.measured else None
