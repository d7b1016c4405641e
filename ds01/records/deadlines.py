"""Compute when the automation will act on a container, from the record's facts and today's policy. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from ds01.dataclass import dataclass
from ds01.policy.model import AutomationRules, Limits
from ds01.records.record import Origin, Record
from ds01.records.state_machine import State
from ds01.system.data import DataError, parse_time


@dataclass(frozen=True)
class Deadline:
    """When the automation acts, and by which rule: idle, runtime, conflict, hold, removal, created."""

    at: datetime
    because: str


# What happens at a deadline, in the words of all screens, by the rule that sets it.
NEXT_ACTIONS = {
    "hold": "hold ends",
    "idle": "idle stop",
    "runtime": "stop",
    "removal": "removal",
    "created": "release",
    "conflict": "stop",
}
LEASE_END_REASONS = ("runtime", "hold", "created", "removal")  # deadlines that end a lease


def earliest_deadline(record: Record, limits: Limits, policies: AutomationRules) -> Deadline | None:
    """Return a container's earliest deadline; None if it has none."""
    return min(_deadlines(record, limits, policies), key=lambda candidate: candidate.at, default=None)


def lease_ends(record: Record, limits: Limits, policies: AutomationRules) -> datetime | None:
    """Return when the record's slots come free if nobody acts; None if never or unknown.

    It is unknown while a command works on the container: the command may be starting it, which keeps the slots.
    """
    if record.pending is not None:
        return None
    ends = [
        candidate.at for candidate in _deadlines(record, limits, policies) if candidate.because in LEASE_END_REASONS
    ]
    return min(ends, default=None)


def created_ends(record: Record, limits: Limits, policies: AutomationRules) -> datetime | None:
    """Return when a container that never ran loses its lease; None: never.

    A replacement of a stopped container (it has `stopped_at`) keeps its lease at least until the old hold would end.
    """
    due = add_delay(record.created_at, policies.created_timeout)
    if record.stopped_at is None or due is None:
        return due
    held = hold_ends(record, limits.gpu_hold_after_stop)
    return None if held is None else max(due, held)


def held_until(record: Record, limits: Limits) -> datetime | None:
    """Return when a stopped container loses its slots, by the end of its hold or by removal.

    None: never, or it has no slots.
    """
    if record.state is not State.HELD:
        return None
    return hold_ends(record, hold_duration(record, limits))


def hold_duration(record: Record, limits: Limits) -> timedelta | None:
    """Return how long a stopped container keeps its slots, until its hold ends or it is removed; None: for ever."""
    until_removal = None if record.keep else limits.container_hold_after_stop
    return min((hold for hold in (limits.gpu_hold_after_stop, until_removal) if hold is not None), default=None)


def hold_ends(record: Record, hold: timedelta | None) -> datetime | None:
    """Return when the hold of a stopped container ends; None: never."""
    return add_delay(record.stopped_at, hold)


def idle_since(record: Record) -> datetime | None:
    """Return since when a running container has shown no activity; None if it does not run."""
    if record.state is not State.RUNNING:
        return None
    return last_activity(record) or record.started_at


def last_activity(record: Record) -> datetime | None:
    """Return the last activity in the record; None if none was observed since the start."""
    try:
        return parse_time(str(record.activity.get("last")))
    except DataError:
        return None


def is_idle(record: Record) -> bool:
    """Return whether the last tick found the running container idle."""
    return record.state is State.RUNNING and record.activity.get("state") == "idle"


def is_kept_alive(record: Record) -> bool:
    """Return whether the last tick found that the owner's `.keep-alive` puts off an idle stop that is due."""
    return is_idle(record) and record.activity.get("keep_alive") == "kept"


def add_delay(start: datetime | None, delay: timedelta | None) -> datetime | None:
    """Return `start + delay`; None (never) if either is None."""
    if start is None or delay is None:
        return None
    try:
        return start + delay
    except OverflowError:
        return None  # past the last date that datetime can represent


def runtime_ends(record: Record, limits: Limits) -> datetime | None:
    """Return when a running container reaches its runtime limit, the owner's extensions included."""
    return add_delay(add_delay(record.started_at, limits.max_runtime), record.extended)


def idle_ends(record: Record, limits: Limits) -> datetime | None:
    """Return when a running container reaches its idle limit, but not before the end of the owner's extension."""
    at = add_delay(idle_since(record), limits.idle_timeout)
    return at if at is None or record.extended_until is None else max(at, record.extended_until)


def _deadlines(record: Record, limits: Limits, policies: AutomationRules) -> list[Deadline]:
    if record.origin is Origin.MANUAL:
        return []
    ends: dict[str, datetime | None] = {}
    if record.state is State.RUNNING:
        ends["runtime"] = runtime_ends(record, limits)
        if not is_kept_alive(record):
            ends["idle"] = idle_ends(record, limits)
        if record.conflict is not None:
            ends["conflict"] = record.started_at  # stopped as soon as its owner was warned
    elif record.state is State.CREATED and record.lease is not None:
        ends["created"] = created_ends(record, limits, policies)
    elif record.state is State.HELD:
        ends["hold"] = hold_ends(record, limits.gpu_hold_after_stop)
    if record.state in (State.HELD, State.STOPPED) and not record.keep:
        ends["removal"] = add_delay(record.stopped_at, limits.container_hold_after_stop)
    return [Deadline(at, because) for because, at in ends.items() if at is not None]
