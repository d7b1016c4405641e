"""Times in a record that a wrong clock wrote: ahead, they are still to come; behind, they are before the last tick.

They count as now. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from ds01.policy.model import Limits
from ds01.records.deadlines import hold_ends
from ds01.records.machine import State
from ds01.records.record import Record
from ds01.system.data import DataError, parse_time

AHEAD = timedelta(minutes=1)  # commands write while the tick runs: what is this little ahead is no mistake

MISSED = timedelta(hours=1)  # for so long at most ticks pass over a container that a command is at work on


def without_future(record: Record, limits: Limits, now: datetime) -> Record:
    """Return the record with no time after `now`, or the record itself if none is. Its deadlines follow from today's.

    Otherwise a hold, a limit on runtime or an extension would last until the clock gets there.
    """
    longest = now + record.extended + (limits.idle_timeout or timedelta(0))
    past = [record.created_at, record.started_at, record.stopped_at, *(step.at for step in record.history)]
    past += [record.lease.since] if record.lease else []
    is_ahead = any(at is not None and at > now + AHEAD for at in past)
    is_extended_too_far = record.extended_until is not None and record.extended_until > longest + AHEAD
    warnings = dict(_given_by(record.warnings.items(), now))
    if not is_ahead and not is_extended_too_far and len(warnings) == len(record.warnings):
        return record
    changed = replace(
        record,
        created_at=min(record.created_at, now),
        started_at=_until(record.started_at, now),
        stopped_at=_until(record.stopped_at, now),
        extended_until=_until(record.extended_until, longest),
        lease=replace(record.lease, since=min(record.lease.since, now)) if record.lease else None,
        history=tuple(replace(step, at=min(step.at, now)) for step in record.history),
        warnings=warnings,
    )
    if record.held_until is not None and changed.stopped_at != record.stopped_at:
        changed = replace(changed, held_until=hold_ends(changed, limits.gpu_hold_after_stop))
    return changed


def without_early_start(record: Record, looked: datetime, now: datetime) -> Record:
    """Return the record with its start at `now`, or the record itself if its start may be right.

    No tick has looked at it since it was started, and the last one looked at all that ran at `looked`. A start that is
    said to be long before that was written while the clock was behind, and its time would be over at once.
    """
    is_new = record.state is State.RUNNING and not record.activity
    if not is_new or record.started_at is None or record.started_at >= looked - MISSED:
        return record
    return replace(record, started_at=now)


def _until(at: datetime | None, latest: datetime) -> datetime | None:
    return at if at is None else min(at, latest)


def _given_by(warnings: Iterable[tuple[str, Any]], now: datetime) -> Iterable[tuple[str, Any]]:
    """The warnings without those that were given in the future; one that cannot be read does not count anyway."""
    for key, warning in warnings:
        try:
            if isinstance(warning, Mapping) and parse_time(warning["at"]) > now + AHEAD:
                continue
        except (DataError, KeyError):
            pass
        yield key, warning
