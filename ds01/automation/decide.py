"""Decide what should happen to one container now, from its record, its limits and the time. Pure.

Nothing is stopped or removed without a warning about this very deadline, delivered at an earlier tick. A hold ends
when the stop announced that it would; if nothing was announced, also only after a warning.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum

from ds01.dataclass import dataclass
from ds01.lifecycle.reconciliation.inference import OBSERVED
from ds01.policy.model import AutomationRules, Limits
from ds01.records.clock_corrections import CLOCK_TOLERANCE
from ds01.records.deadlines import add_delay, created_ends, hold_ends, idle_ends, runtime_ends
from ds01.records.record import Origin, Record
from ds01.records.state_machine import State, Trigger
from ds01.system.data import DataError, format_time, parse_time

ENDED_NOTICE = "ended"  # key in the record's warnings: the notice that the container ended was delivered


class Action(str, Enum):
    """What to do."""

    WARN = "warn"
    STOP = "stop"
    RELEASE = "release"
    REMOVE = "remove"


class Rule(str, Enum):
    """The rule behind an action; also the key of the warning in the record."""

    RUNTIME = "runtime"
    IDLE = "idle"
    CONFLICT = "conflict"
    HOLD = "hold"
    CREATED = "created"
    REMOVAL = "removal"
    RECLAIM = "reclaim"  # a waiter of higher priority needs the slots


@dataclass(frozen=True)
class Decision:
    """One action on one container. `deadline`: when the rule takes effect."""

    action: Action
    rule: Rule
    deadline: datetime


def decide(record: Record, limits: Limits, policies: AutomationRules, *, now: datetime) -> Decision | None:
    """Return the action that is due now, by the most urgent rule; None if nothing is due."""
    if record.origin is Origin.MANUAL or record.pending is not None:
        return None
    if record.state is State.RUNNING:
        return _conflict(record, now) or _runtime(record, limits, policies, now) or _idle(record, limits, policies, now)
    if record.state is State.CREATED:
        due = created_ends(record, limits, policies)
        is_early = record.lease is None or due is None or now < due
        return None if is_early or due is None else Decision(Action.RELEASE, Rule.CREATED, due)
    removal = _removal(record, limits, policies, now)
    if removal is not None and removal.action is Action.REMOVE:
        return removal
    if record.state is State.HELD:
        return _hold(record, limits, now) or removal
    return removal


def _hold(record: Record, limits: Limits, now: datetime) -> Decision | None:
    hold_end = hold_ends(record, limits.gpu_hold_after_stop)
    if hold_end is None or record.stopped_at is None:
        return None
    observed = _was_observed(record)
    if record.held_until is None or hold_end < record.held_until or (observed and record.ended is None):
        # The policy has shortened the hold since the stop, or the owner was not told about it.
        return _warn_first(record, Rule.HOLD, Action.RELEASE, record.stopped_at, hold_end, now)
    if observed and not _was_notified(record, now):
        return None
    return Decision(Action.RELEASE, Rule.HOLD, hold_end) if now >= hold_end else None


def _was_observed(record: Record) -> bool:
    """Return whether it stopped outside ds01: nobody has told the owner how long its GPU is held."""
    stops = [step for step in record.history if step.trigger is Trigger.STOP]
    return bool(stops) and stops[-1].actor == OBSERVED


def _was_notified(record: Record, now: datetime) -> bool:
    """Return whether an earlier tick delivered the notice that it ended and how long its GPU is held."""
    delivered = record.warnings.get(ENDED_NOTICE)
    try:
        return isinstance(delivered, dict) and parse_time(delivered["at"]) < now
    except (DataError, KeyError):
        return False


def _conflict(record: Record, now: datetime) -> Decision | None:
    if record.conflict is None or record.started_at is None:
        return None
    return _warn_first(record, Rule.CONFLICT, Action.STOP, record.started_at, record.started_at, now)


def _runtime(record: Record, limits: Limits, policies: AutomationRules, now: datetime) -> Decision | None:
    if limits.max_runtime is None:
        return None
    due = runtime_ends(record, limits)
    return _warn_before(record, Rule.RUNTIME, Action.STOP, due, limits.max_runtime, policies.warn_runtime_at, now)


def _idle(record: Record, limits: Limits, policies: AutomationRules, now: datetime) -> Decision | None:
    if limits.idle_timeout is None or record.activity.get("state") != "idle":
        return None  # active or unknown is not idle
    due = idle_ends(record, limits)
    return _warn_before(record, Rule.IDLE, Action.STOP, due, limits.idle_timeout, policies.warn_idle_at, now)


def _removal(record: Record, limits: Limits, policies: AutomationRules, now: datetime) -> Decision | None:
    delay = limits.container_hold_after_stop
    if record.keep or delay is None or record.stopped_at is None:
        return None
    due = add_delay(record.stopped_at, delay)
    return _warn_before(record, Rule.REMOVAL, Action.REMOVE, due, delay, policies.warn_idle_at, now)


def _warn_before(
    record: Record, rule: Rule, action: Action, due: datetime | None, duration: timedelta, warn_at: float, now: datetime
) -> Decision | None:
    """Warn after the fraction `warn_at` of `duration`, act after all of it."""
    if due is None:
        return None
    return _warn_first(record, rule, action, due - duration * (1 - warn_at), due, now)


def _warn_first(
    record: Record, rule: Rule, action: Action, warn_from: datetime, due: datetime, now: datetime
) -> Decision | None:
    warned = _warned_at(record, rule, due)
    if warned is None or warned > now + CLOCK_TOLERANCE:  # not warned, or warned while the clock was ahead
        return Decision(Action.WARN, rule, due) if now >= warn_from else None
    return Decision(action, rule, due) if now >= due and warned < now else None


def _warned_at(record: Record, rule: Rule, due: datetime) -> datetime | None:
    """Return when a warning about this deadline was delivered, or None. A warning about an earlier deadline is void."""
    warning = record.warnings.get(rule.value)
    if not isinstance(warning, dict) or warning.get("deadline") != format_time(due):
        return None
    try:
        return parse_time(warning["at"])
    except (DataError, KeyError):
        return None
