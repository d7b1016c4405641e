"""Conflicts: containers that were started outside ds01 on GPUs that are leased to others."""

from __future__ import annotations

from ds01.api.views import Change
from ds01.gpus.model import Lease
from ds01.lifecycle.context.context import Context
from ds01.lifecycle.context.ownership import find_unrecorded
from ds01.lifecycle.reconciliation.inference import OBSERVED
from ds01.placement.outside_use import uuids_from_labels
from ds01.records.entries import readable, taken_uuids
from ds01.records.record import Record, with_changes
from ds01.records.state_machine import State


def find_holders(context: Context, record: Record) -> list[Record]:
    """Return the records that lease the slots on which a container runs without a lease."""
    uuids = _fixed(record)
    return [
        other
        for other in readable(context.ledger.read())
        if other.lease and other.id != record.id and any(ref.uuid in uuids for ref in other.lease.slots)
    ]


def report_conflict(context: Context, record: Record) -> None:
    """Emit a conflict event for each holder of the container's slots."""
    for other in find_holders(context, record):
        facts = {"actor": OBSERVED, "container": record.container_name, "user": record.user, "why": record.conflict}
        context.emit("conflict", facts | {"holder": other.container_name, "holder_user": other.user})


def end_conflict(context: Context, container_name: str) -> list[Change]:
    """Lease its slots to a container in conflict, if they are free now. Its lock is held.

    The record keeps its warnings: from them the tick knows to tell the owner that the conflict is over.
    """
    record = context.ledger.read().get(container_name)
    if not isinstance(record, Record) or record.state is not State.RUNNING or not record.conflict:
        return []
    container = context.engine.inspect(record.docker_id or "")
    same = container is not None and container.status.has_processes and container.started_at == record.engine_started_at
    if not same or may_be_claimed(context, record):
        return []
    with context.ledger.transaction() as ledger:
        current = ledger.records.get(container_name)
        if current != record or _fixed(record) & taken_uuids(ledger.records, but=container_name):
            return []
        lease = Lease(record.gpus_fixed, context.clock())
        ledger.commit(with_changes(record, lease=lease, conflict=None), now=context.clock())
    why = "its GPU was released by the other container"
    context.emit("repair", {"container": container_name, "user": record.user, "why": why, "actor": OBSERVED})
    return [Change(container_name, "conflict ended")]


def may_be_claimed(context: Context, record: Record) -> bool:
    """Return whether a container whose lost record is not rebuilt yet may have this container's slots."""
    lost = find_unrecorded(context, context.ledger.read(), context.observer.containers_again())
    return any(_fixed(record) & set(uuids_from_labels(container.labels)) for container in lost)


def _fixed(record: Record) -> set[str]:
    return {ref.uuid for ref in record.gpus_fixed}
