"""Tells owners what ds01 did not do and has seen: a container that ended, and a warning that holds no longer.

Any command may have recorded it; only the tick can deliver to everybody. What was told is kept in the record.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ds01.automation.acting import lock_of
from ds01.automation.decide import ENDED, Why
from ds01.automation.report import Report
from ds01.automation.telling import conflict_is_over, ended
from ds01.errors import Busy, Ds01Error
from ds01.journal.notices import Notice
from ds01.journal.notifier import Teller
from ds01.lifecycle.context.context import Context
from ds01.lifecycle.reconciliation.judge import OBSERVED
from ds01.records.entries import is_manual
from ds01.records.machine import State, Trigger
from ds01.records.record import Record, settle
from ds01.system.data import format_time


def announce(context: Context, teller: Teller, records: list[Record], report: Report) -> None:
    """Deliver what is due for each record; what fails is tried again at the next tick."""
    for record in records:
        if is_manual(record) or _due(record, context.clock()) is None:
            continue
        try:
            _deliver(context, teller, record)
        except Busy:
            continue  # the next tick looks again
        except Exception as error:
            report.failed(record.container_name, "notice", error)


def _deliver(context: Context, teller: Teller, record: Record) -> None:
    now = context.clock()
    with lock_of(context, record):
        current = context.ledger.read().get(record.container_name)
        due = _due(current, now) if isinstance(current, Record) and current.id == record.id else None
        if due is None or not isinstance(current, Record):
            return
        notice, warnings = due
        if not teller.deliver(current, notice):
            raise Ds01Error("the notice could not be delivered")
        with context.ledger.transaction() as ledger:
            ledger.commit(settle(current, warnings=warnings, pending=current.pending), now=now)
    teller.announce(record, notice)


def _due(record: Record, now: datetime) -> tuple[Notice, Mapping[str, Any]] | None:
    """The notice that the owner of a record has not got yet, and the record's warnings after it."""
    if record.state is State.RUNNING and not record.conflict and Why.CONFLICT.value in record.warnings:
        others = {key: told for key, told in record.warnings.items() if key != Why.CONFLICT.value}
        return conflict_is_over(record, now), others
    stopped = record.state in (State.HELD, State.STOPPED)
    if stopped and record.ended is not None and ENDED not in record.warnings and _ended_by_itself(record):
        told = {"at": format_time(now), "deadline": format_time(record.ended.at)}
        return ended(record, record.ended, now), {**record.warnings, ENDED: told}
    return None


def _ended_by_itself(record: Record) -> bool:
    """Whether nobody stopped it through ds01, as far as the record's history goes back."""
    stops = [step for step in record.history if step.trigger is Trigger.STOP]
    return bool(stops) and stops[-1].actor == OBSERVED
