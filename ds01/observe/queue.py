"""The queue for GPUs, with why each waiter waits and when its turn may come."""

from __future__ import annotations

from ds01.api.answers import QueueRow
from ds01.gpus.model import Refusal
from ds01.lifecycle.context import wait_queue
from ds01.lifecycle.context.allocation import allocation_input
from ds01.lifecycle.context.context import Context
from ds01.lifecycle.reconciliation.unsaved import collect_unsaved, with_unsaved
from ds01.lifecycle.snapshot import take_snapshot
from ds01.placement.allocation_input import AllocationInput
from ds01.placement.allocator import after_queue, check_container_count, choose_slots
from ds01.records.entries import Entries
from ds01.records.record import Record

SUSPENDED = "suspended"


def list_waiting(context: Context) -> tuple[QueueRow, ...]:
    """Return the queue in order. Raises EngineUnreachable, GpusUnreachable."""
    context.rules.refresh()
    if not wait_queue.waiters(context):
        return ()
    unsaved: list[Record] = []
    snapshot = take_snapshot(context, failed=collect_unsaved(unsaved))
    entries = with_unsaved(snapshot.records, unsaved)
    return queue_rows(context, allocation_input(context, entries, snapshot.gpus, snapshot.outside), entries)


def queue_rows(context: Context, inputs: AllocationInput, entries: Entries) -> tuple[QueueRow, ...]:
    """Return the waiters in order, each as it stands after those ahead of it were served.

    `inputs`: leases, GPUs and outside use, without the queue.
    """
    rows = []
    for position, waiter in enumerate(wait_queue.waiters(context), 1):
        queued = wait_queue.queued_request(context, waiter, entries)
        too_many = check_container_count(queued.limits.max_containers_per_user, queued.containers)
        choice = too_many or choose_slots(inputs, queued.request, queued.requester, queued.limits)
        refusal = choice if isinstance(choice, Refusal) else None
        why = refusal.rule.value if refusal is not None else None
        if why is None and wait_queue.is_suspended(waiter):
            why = SUSPENDED
        request = waiter.request
        rows.append(
            QueueRow(
                id=waiter.id,
                user=waiter.user,
                name=request.name,
                gpus=request.gpus,
                request=request,
                priority=waiter.priority,
                since=waiter.since,
                position=position,
                why=why,
                earliest=refusal.earliest if refusal is not None else None,
            )
        )
        inputs = after_queue(inputs, wait_queue.as_queued_requests(context, [waiter], entries))
    return tuple(rows)
