"""Repair our containers without a record: rebuild lost records, remove leftovers of creates and replacements."""

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

# Runs a repair under the lock of the named container; returns whether it could be done.
RunLocked = Callable[[str, Callable[[], list[Change]]], bool]


def rebuild_lost_records(
    context: Context, listed: list[EngineContainer], entries: Entries, run_locked: RunLocked
) -> None:
    """Rebuild lost records, and set aside unreadable records without a container.

    A record whose slots may belong to another lost record that cannot be rebuilt now has to wait for that one.
    """
    lost = find_unrecorded(context, entries, listed)
    blocked: set[str] = set()  # the UUIDs of records that cannot be rebuilt now
    inspected = []
    for container in lost:
        try:
            detail = context.engine.inspect(container.id)
        except (EngineConflict, EngineRejected) as error:
            context.observer.report_uninspectable(container, error)
            blocked |= set(uuids_from_labels(container.labels))
            continue
        if detail is not None and detail.status is not ContainerStatus.REMOVING:
            inspected.append(detail)
    for detail in sorted(inspected, key=_urgency):
        uuids = set(uuids_from_labels(detail.labels))
        if uuids & blocked or not run_locked(detail.name, partial(_rebuild_or_remove, context, detail)):
            blocked |= uuids
    names = {container.name for container in lost}
    for name, entry in entries.items():
        if isinstance(entry, UnreadableRecord) and entry.corrupt and name not in names:
            run_locked(name, partial(_set_aside, context, name))


def remove_stray_replacements(
    context: Context, listed: list[EngineContainer], entries: Entries, run_locked: RunLocked
) -> None:
    """Remove replacements that no record waits for."""
    recorded_ids = {record.docker_id for record in readable(entries)}
    for container in listed:
        place = replaced_name(context, container) if container.id not in recorded_ids else None
        if place is not None and not is_copy(context, container, entries, name=place):
            run_locked(place, partial(_remove_stray, context, container, place))


def _urgency(container: EngineContainer) -> tuple[bool, float]:
    """Return the sort key: running containers first, since they hold their GPU; among them the earliest start.

    Of stopped containers the most recently used comes first, since it had the GPU last.
    """
    if container.status.has_processes:
        return False, _seconds(container.started_at or container.created_at)
    return True, -_seconds(max(container.created_at, container.finished_at or container.created_at))


def _seconds(at: datetime) -> float:
    return at.astimezone(timezone.utc).timestamp()


def _rebuild_or_remove(context: Context, container: EngineContainer) -> list[Change]:
    """Rebuild the record of our container, or remove the container if it is a leftover of an abandoned create."""
    detail = context.engine.inspect(container.id)
    if detail is None or detail.status is ContainerStatus.REMOVING:
        return []
    if not find_unrecorded(context, context.ledger.read(), [detail]):
        return []
    # A complete container is not a leftover: for example, it vanished with Docker's data and came back with it.
    removed = [gone for gone in context.ledger.removed_named(detail.name) if gone.id == detail.labels["ds01.id"]]
    if detail.started_at is None and any(gone.docker_id is None for gone in removed):
        return _remove_leftover(context, detail)
    record = record_from_labels(context, detail)
    limits = context.rules.limits_of(
        record
    ).limits  # looked up here: the user database is not asked under the ledger's lock
    with context.ledger.transaction() as ledger:
        entry = ledger.records.get(detail.name)
        if isinstance(entry, Record):
            return []
        taken = taken_uuids(ledger.records, but=detail.name)
        record = with_inferred_state(record, detail, limits, taken, context.clock())
        if isinstance(entry, UnreadableRecord):
            ledger.set_aside(
                detail.name, now=context.clock()
            )  # raises Busy if it may be intact: then nothing is rebuilt
        record = ledger.commit(record, now=context.clock(), is_news=False)
    why = f"its record was unreadable: {entry.why}" if entry is not None else "it had no record"
    context.emit("repair", {"container": detail.name, "user": record.user, "why": why, "actor": OBSERVED})
    if record.conflict:
        report_conflict(context, record)
    return [Change(detail.name, "rebuilt")]


def _remove_stray(context: Context, container: EngineContainer, place: str) -> list[Change]:
    """Remove a replacement that no record waits for: Docker created it late, or the record is lost."""
    record = context.ledger.read().get(place)
    if isinstance(record, Record) and (awaits_replacement(record) or record.docker_id == container.id):
        return []
    detail = context.engine.inspect(container.id)
    return _remove_leftover(context, detail) if detail is not None and detail.name == container.name else []


def _remove_leftover(context: Context, container: EngineContainer) -> list[Change]:
    if not remove_unused(context, container):
        return []
    facts = {"actor": OBSERVED, "container": container.name, "user": container.labels.get("ds01.user")}
    context.emit("repair", facts | {"why": "leftover of an abandoned create"})
    return [Change(container.name, "leftover removed")]


def _set_aside(context: Context, name: str) -> list[Change]:
    """Set aside an unreadable record without a container."""
    with context.ledger.transaction() as ledger:
        entry = ledger.records.get(name)
        if not isinstance(entry, UnreadableRecord):
            return []
        ledger.set_aside(name, now=context.clock())
    facts = {"actor": OBSERVED, "container": name, "user": None}
    context.emit("repair", facts | {"why": f"its record was unreadable: {entry.why}"})
    return [Change(name, "set aside")]
