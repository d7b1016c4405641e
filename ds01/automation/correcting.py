"""Corrects times in the records that a wrong clock wrote, once the clock is trusted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from ds01.automation.acting import lock_of
from ds01.automation.report import Item
from ds01.errors import Busy
from ds01.lifecycle.context.context import Context
from ds01.records.future import without_early_start, without_future
from ds01.records.record import Record


def correct_times(context: Context, records: Sequence[Record], *, dry_run: bool) -> list[Item]:
    """Bring times that lie in the future back to now, and return what was corrected. Busy containers come later."""
    why = "a clock that was ahead wrote times that are still to come: they count as now"

    def corrected(record: Record) -> Record:
        return without_future(record, context.rules.limits_of(record).limits, context.clock())

    return _correct_all(context, records, corrected, why, dry_run=dry_run)


def correct_starts(context: Context, records: Sequence[Record], looked: datetime, *, dry_run: bool) -> list[Item]:
    """Bring starts from before the last look, which no tick has seen, to now, and return what was corrected."""
    why = "it was started while the clock was behind: its start counts as now"

    def corrected(record: Record) -> Record:
        return without_early_start(record, looked, context.clock())

    return _correct_all(context, records, corrected, why, dry_run=dry_run)


def _correct_all(
    context: Context, records: Sequence[Record], corrected: Callable[[Record], Record], why: str, *, dry_run: bool
) -> list[Item]:
    done = []
    for record in records:
        if corrected(record) is record:
            continue
        if not dry_run:
            try:
                _correct(context, record, corrected)
            except Busy:
                continue
        done.append(Item(record.container_name, "reconcile", why))
    return done


def _correct(context: Context, record: Record, corrected: Callable[[Record], Record]) -> None:
    with lock_of(context, record), context.ledger.transaction() as ledger:
        current = ledger.records.get(record.container_name)
        if isinstance(current, Record) and current.id == record.id:
            ledger.commit(corrected(current), now=context.clock())
