"""Notify owners of what ds01 observed but did not do: a container that ended, and a warning that no longer applies.

Any command may have recorded it, but only the tick can deliver to everybody. Delivered notices are kept in the record.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ds01.automation.decide import ENDED_NOTICE, Rule
from ds01.automation.executor import lock_container
from ds01.automation.notice_texts import conflict_over_notice, ended_notice
from ds01.automation.report import TickReport
from ds01.errors import Busy, Ds01Error
from ds01.journal.notices import Notice
from ds01.journal.notifier import Notifier
from ds01.lifecycle.context.context import Context
from ds01.lifecycle.reconciliation.inference import OBSERVED
from ds01.records.entries import is_manual
from ds01.records.record import Record, with_changes
from ds01.records.state_machine import State, Trigger
from ds01.system.data import format_time


def announce_changes(context: Context, notifier: Notifier, records: list[Record], report: TickReport) -> None:
    """Deliver the notice that is due for each record; after a failure, the next tick tries again."""
    for record in records:
        if is_manual(record) or _due_notice(record, context.clock()) is None:
            continue
        try:
            _deliver(context, notifier, record)
        except Busy:
            continue  # the next tick tries again
        except Exception as error:
            report.add_error(record.container_name, "notice", error)


def _deliver(context: Context, notifier: Notifier, record: Record) -> None:
    now = context.clock()
    with lock_container(context, record):
        current = context.ledger.read().get(record.container_name)
        due = _due_notice(current, now) if isinstance(current, Record) and current.id == record.id else None
        if due is None or not isinstance(current, Record):
            return
        notice, warnings = due
        if not notifier.deliver(current, notice):
            raise Ds01Error("the notice could not be delivered")
        with context.ledger.transaction() as ledger:
            ledger.commit(with_changes(current, warnings=warnings, pending=current.pending), now=now)
    notifier.announce(record, notice)


def _due_notice(record: Record, now: datetime) -> tuple[Notice, Mapping[str, Any]] | None:
    """Return the notice that the owner has not received yet, and the record's warnings after it; None: nothing due."""
    if record.state is State.RUNNING and not record.conflict and Rule.CONFLICT.value in record.warnings:
        remaining = {key: delivered for key, delivered in record.warnings.items() if key != Rule.CONFLICT.value}
        return conflict_over_notice(record, now), remaining
    is_stopped = record.state in (State.HELD, State.STOPPED)
    if is_stopped and record.ended is not None and ENDED_NOTICE not in record.warnings and _ended_outside(record):
        delivered = {"at": format_time(now), "deadline": format_time(record.ended.at)}
        return ended_notice(record, record.ended, now), {**record.warnings, ENDED_NOTICE: delivered}
    return None


def _ended_outside(record: Record) -> bool:
    """Return whether the last stop in the history was observed, not done through ds01."""
    stops = [step for step in record.history if step.trigger is Trigger.STOP]
    return bool(stops) and stops[-1].actor == OBSERVED
