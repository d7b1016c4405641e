"""Correct times in a record that a wrong clock wrote: in the future, or long before the last tick. Pure.

Such times count as now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from ds01.policy.model import Limits
from ds01.records.deadlines import hold_ends
from ds01.records.record import Record
from ds01.records.state_machine import State
from ds01.system.data import DataError, parse_time

CLOCK_TOLERANCE = timedelta(minutes=1)  # commands write while the tick runs, so times this little ahead are normal

LONGEST_COMMAND = timedelta(hours=1)  # the longest time for which ticks skip a container that a command holds


def correct_future_times(record: Record, limits: Limits, now: datetime) -> Record:
    """Return the record with future times set to `now`, or the record itself if it has none.

    Otherwise a hold, a runtime limit or an extension would last until the clock gets there.
    """
    longest = now + record.extended + (limits.idle_timeout or timedelta(0))
    stored_times = [record.created_at, record.started_at, record.stopped_at, *(step.at for step in record.history)]
    stored_times += [record.lease.since] if record.lease else []
    is_ahead = any(at is not None and at > now + CLOCK_TOLERANCE for at in stored_times)
    is_extended_too_far = record.extended_until is not None and record.extended_until > longest + CLOCK_TOLERANCE
    warnings = dict(_warnings_given_by(record.warnings.items(), now))
    if not is_ahead and not is_extended_too_far and len(warnings) == len(record.warnings):
        return record
    corrected = replace(
        record,
        created_at=min(record.created_at, now),
        started_at=_earlier_of(record.started_at, now),
        stopped_at=_earlier_of(record.stopped_at, now),
        extended_until=_earlier_of(record.extended_until, longest),
        lease=replace(record.lease, since=min(record.lease.since, now)) if record.lease else None,
        history=tuple(replace(step, at=min(step.at, now)) for step in record.history),
        warnings=warnings,
    )
    if record.held_until is not None and corrected.stopped_at != record.stopped_at:
        corrected = replace(corrected, held_until=hold_ends(corrected, limits.gpu_hold_after_stop))
    return corrected


def correct_early_start(record: Record, last_observation: datetime, now: datetime) -> Record:
    """Return the record with its start at `now`, or the record itself if its start may be right.

    `last_observation`: when a tick last looked at all running containers. If no tick has seen this container running,
    it was started after that. An earlier start was written by a clock that was behind, and the runtime limit would end
    the container at once.
    """
    is_new = record.state is State.RUNNING and not record.activity
    if not is_new or record.started_at is None or record.started_at >= last_observation - LONGEST_COMMAND:
        return record
    return replace(record, started_at=now)


def _earlier_of(at: datetime | None, latest: datetime) -> datetime | None:
    return at if at is None else min(at, latest)


def _warnings_given_by(warnings: Iterable[tuple[str, Any]], now: datetime) -> Iterable[tuple[str, Any]]:
    """Drop the warnings dated in the future. Unreadable ones stay: they are ignored elsewhere."""
    for key, warning in warnings:
        try:
            if isinstance(warning, Mapping) and parse_time(warning["at"]) > now + CLOCK_TOLERANCE:
                continue
        except (DataError, KeyError):
            pass
        yield key, warning
