"""Our containers without a record: their records are rebuilt, and what a create or a replacement left is removed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from functools import partial

from ds01.api.views import Change
from ds01.engines.protocol import ContainerStatus, EngineContainer
from ds01.errors import EngineConflict, EngineRejected
from ds01.lifecycle.context.context import Context
from ds01.lifecycle.context.ownership import find_unrecorded, is_copy
from ds01.lifecycle.reconciliation.conflicts import report_conflict
from ds01.lifecycle.reconciliation.inference import OBSERVED
from ds01.lifecycle.reconciliation.rebuild import record_from_labels, with_inferred_state
from ds01.lifecycle.reconciliation.replacement import awaits_replacement, remove_unused, replaced_name
from ds01.placement.outside_use import uuids_from_labels
from ds01.records.entries import Entries, readable, taken_uuids
from ds01.records.ledger import UnreadableRecord
from ds01.records.record import Record

# Does something to a container under its lock; whether it could be done.
RunLocked = Callable[[str, Callable[[], list[Change]]], bool]


def rebuild_lost_records(
    context: Context, listed: list[EngineContainer], entries: Entries, run_locked: RunLocked
) -> None:
    """Rebuild the records that were lost, and set aside the unreadable ones without a container.

    One whose slots may be those of another lost record that cannot be rebuilt now has to wait for it.
    """
    lost = find_unrecorded(context, entries, listed)
    blocked: set[str] = set()  # the UUIDs of those that cannot be rebuilt now
    inspected = []
    for container in lost:
        try:
            seen = context.engine.inspect(container.id)
        except (EngineConflict, EngineRejected) as error:
            context.observer.report_uninspectable(container, error)
            blocked |= set(uuids_from_labels(container.labels))
            continue
        if seen is not None and seen.status is not ContainerStatus.REMOVING:
            inspected.append(seen)
    for seen in sorted(inspected, key=_urgency):
        uuids = set(uuids_from_labels(seen.labels))
        if uuids & blocked or not run_locked(seen.name, partial(_rebuild_or_remove, context, seen)):
            blocked |= uuids
    names = {container.name for container in lost}
    for name, entry in entries.items():
        if isinstance(entry, UnreadableRecord) and entry.corrupt and name not in names:
            run_locked(name, partial(_set_aside, context, name))


def remove_stray_replacements(
    context: Context, listed: list[EngineContainer], entries: Entries, run_locked: RunLocked
) -> None:
    """Remove the replacements that nobody waits for."""
    known = {record.docker_id for record in readable(entries)}
    for container in listed:
        place = replaced_name(context, container) if container.id not in known else None
        if place is not None and not is_copy(context, container, entries, name=place):
            run_locked(place, partial(_remove_stray, context, container, place))


def _urgency(seen: EngineContainer) -> tuple[bool, float]:
    """What to sort by: who runs is the rightful holder of its GPU, and of several the one that started first.

    Of those that do not run, the one that was used last had the GPU last.
    """
    if seen.status.has_processes:
        return False, _seconds(seen.started_at or seen.created_at)
    return True, -_seconds(max(seen.created_at, seen.finished_at or seen.created_at))


def _seconds(at: datetime) -> float:
    return at.astimezone(timezone.utc).timestamp()


def _rebuild_or_remove(context: Context, container: EngineContainer) -> list[Change]:
    """A container of ours that no record knows: a leftover of a create that was given up, or its record was lost."""
    seen = context.engine.inspect(container.id)
    if seen is None or seen.status is ContainerStatus.REMOVING:
        return []
    if not find_unrecorded(context, context.ledger.read(), [seen]):
        return []
    # One that was whole is no leftover: it vanished with Docker's data, say, and came back with it.
    removed = [gone for gone in context.ledger.removed_named(seen.name) if gone.id == seen.labels["ds01.id"]]
    if seen.started_at is None and any(gone.docker_id is None for gone in removed):
        return _remove_leftover(context, seen)
    record = record_from_labels(context, seen)
    limits = context.rules.limits_of(record).limits  # nobody asks the user database under the ledger's lock
    with context.ledger.transaction() as ledger:
        entry = ledger.records.get(seen.name)
        if isinstance(entry, Record):
            return []
        taken = taken_uuids(ledger.records, but=seen.name)
        record = with_inferred_state(record, seen, limits, taken, context.clock())
        if isinstance(entry, UnreadableRecord):
            ledger.set_aside(seen.name, now=context.clock())  # Busy if it may be whole: then nothing is rebuilt
        record = ledger.commit(record, now=context.clock())
    why = f"its record was unreadable: {entry.why}" if entry is not None else "it had no record"
    context.emit("repair", {"container": seen.name, "user": record.user, "why": why, "actor": OBSERVED})
    if record.conflict:
        report_conflict(context, record)
    return [Change(seen.name, "rebuilt")]


def _remove_stray(context: Context, container: EngineContainer, place: str) -> list[Change]:
    """A twin that nobody waits for any more: Docker made it late, or the record that told of it is lost."""
    record = context.ledger.read().get(place)
    if isinstance(record, Record) and (awaits_replacement(record) or record.docker_id == container.id):
        return []
    seen = context.engine.inspect(container.id)
    return _remove_leftover(context, seen) if seen is not None and seen.name == container.name else []


def _remove_leftover(context: Context, seen: EngineContainer) -> list[Change]:
    if not remove_unused(context, seen):
        return []
    facts = {"actor": OBSERVED, "container": seen.name, "user": seen.labels.get("ds01.user")}
    context.emit("repair", facts | {"why": "its create was given up"})
    return [Change(seen.name, "leftover removed")]


def _set_aside(context: Context, name: str) -> list[Change]:
    """An unreadable record behind which no container stands."""
    with context.ledger.transaction() as ledger:
        entry = ledger.records.get(name)
        if not isinstance(entry, UnreadableRecord):
            return []
        ledger.set_aside(name, now=context.clock())
    facts = {"actor": OBSERVED, "container": name, "user": None}
    context.emit("repair", facts | {"why": f"its record was unreadable: {entry.why}"})
    return [Change(name, "set aside")]
