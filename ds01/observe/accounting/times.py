"""Times in the database: whole microseconds since 1970, so that sums are exact. Pure, except for the server's zone.

Measurements are cut at full hours and days of the server's zone. So a month has the same sums whether its measurements
were merged into hours and days or not.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone, tzinfo
from datetime import time as time_of_day

SECOND = 1_000_000
HOUR = 3600 * SECOND
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)


def to_number(when: datetime) -> int:
    """Return a time as a number."""
    return (when - _EPOCH) // _MICROSECOND


def to_time(number: int) -> datetime:
    """Return the time of a number, in UTC."""
    return _EPOCH + timedelta(microseconds=number)


def duration(number: int) -> timedelta:
    """Return the duration of a number of microseconds, such as the difference of two times."""
    return timedelta(microseconds=number)


def hour_begin(number: int, zone: tzinfo) -> int:
    """Return the beginning of the full hour in a zone, which may differ from UTC by half an hour."""
    local = to_time(number).astimezone(zone)
    return number - (local.minute * 60 + local.second) * SECOND - local.microsecond


def day_begin(number: int, zone: tzinfo) -> int:
    """Return the beginning of the day in a zone."""
    day = to_time(number).astimezone(zone).date()
    return to_number(datetime.combine(day, time_of_day(), zone))


def next_day(number: int, zone: tzinfo) -> int:
    """Return the beginning of the next day in a zone; days of a change of clocks have 23 or 25 hours."""
    day = to_time(number).astimezone(zone).date() + timedelta(days=1)
    return to_number(datetime.combine(day, time_of_day(), zone))


def hours_between(since: int, until: int, zone: tzinfo) -> Iterator[tuple[int, int]]:
    """Cut a period at the full hours of a zone."""
    while since < until:
        end = min(until, hour_begin(since, zone) + HOUR)
        yield since, end
        since = end


def share(amount: int, begin: int, end: int, total: int) -> int:
    """Return what falls to the part from `begin` to `end` of something that takes `total`.

    The shares of consecutive parts add up to the amount.
    """
    return amount * end // total - amount * begin // total
