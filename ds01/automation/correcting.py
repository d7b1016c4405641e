"""Corrects times in the records that lie ahead of a clock that is trusted."""

from __future__ import annotations

from collections.abc import Sequence

from ds01.automation.acting import lock_of
from ds01.automation.report import Item
from ds01.errors import Busy
from ds01.lifecycle.future import without_future
from ds01.lifecycle.record import Record
from ds01.lifecycle.world import World


def correct_times(world: World, records: Sequence[Record], *, dry_run: bool) -> list[Item]:
    """Bring times that lie in the future back to now, and return what was corrected. Busy containers come later."""
    corrected = []
    for record in records:
        limits = world.limits_of(record).limits
        if without_future(record, limits, world.clock()) is record:
            continue
        if not dry_run:
            try:
                _correct(world, record)
            except Busy:
                continue
        why = "a clock that was ahead wrote times that are still to come: they count as now"
        corrected.append(Item(record.container_name, "reconcile", why))
    return corrected


def _correct(world: World, record: Record) -> None:
    limits = world.limits_of(record).limits
    with lock_of(world, record), world.ledger.transaction() as ledger:
        current = ledger.records.get(record.container_name)
        if isinstance(current, Record) and current.id == record.id:
            now = world.clock()
            ledger.commit(without_future(current, limits, now), now=now)
