"""Correct times in the records that a wrong clock wrote, once the clock is trusted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from ds01.automation.executor import lock_container
from ds01.automation.report import ReportItem
from ds01.errors import Busy
from ds01.lifecycle.context.context import Context
from ds01.records.clock_corrections import correct_early_start, correct_future_times
from ds01.records.record import Record


def correct_times(context: Context, records: Sequence[Record], *, dry_run: bool) -> list[ReportItem]:
    """Set future times to now, and return what was corrected. Busy containers are left to the next tick."""
    why = "a clock that was ahead wrote times in the future: they count as now"

    def correct(record: Record) -> Record:
        return correct_future_times(record, context.rules.limits_of(record).limits, context.clock())

    return _correct_all(context, records, correct, why, dry_run=dry_run)


def correct_starts(
    context: Context, records: Sequence[Record], last_observation: datetime, *, dry_run: bool
) -> list[ReportItem]:
    """Set starts that a clock wrote while it was behind to now, and return what was corrected."""
    why = "it was started while the clock was behind: its start counts as now"

    def correct(record: Record) -> Record:
        return correct_early_start(record, last_observation, context.clock())

    return _correct_all(context, records, correct, why, dry_run=dry_run)


def _correct_all(
    context: Context, records: Sequence[Record], correct: Callable[[Record], Record], why: str, *, dry_run: bool
) -> list[ReportItem]:
    corrections = []
    for record in records:
        if correct(record) is record:
            continue
        if not dry_run:
            try:
                _correct(context, record, correct)
            except Busy:
                continue
        corrections.append(ReportItem(record.container_name, "reconcile", why))
    return corrections


def _correct(context: Context, record: Record, correct: Callable[[Record], Record]) -> None:
    with lock_container(context, record), context.ledger.transaction() as ledger:
        current = ledger.records.get(record.container_name)
        if isinstance(current, Record) and current.id == record.id:
            ledger.commit(correct(current), now=context.clock())
