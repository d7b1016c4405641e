"""One consistent view of the engine, the GPUs, the records and the queue, taken before the ledger is locked."""

from __future__ import annotations

from collections.abc import Callable, Collection

from ds01.dataclass import dataclass
from ds01.engines.protocol import EngineContainer
from ds01.gpus.model import GpuObservation
from ds01.lifecycle.context.allocation import allocation_input, outside_containers
from ds01.lifecycle.context.context import Context
from ds01.lifecycle.context.wait_queue import ahead_of, as_queued_requests, waiters
from ds01.lifecycle.reconciliation.reconcile import reconcile
from ds01.placement.allocation_input import AllocationInput
from ds01.placement.allocator import QueuedRequest, after_queue
from ds01.records.entries import Entries


@dataclass(frozen=True)
class Snapshot:
    """What a choice of slots depends on. The records are reconciled; under the lock they are read again.

    `outside`: the containers that no record explains. `queue`: the waiters before the caller, in order.
    """

    containers: list[EngineContainer]
    records: Entries
    gpus: GpuObservation
    outside: list[EngineContainer]
    queue: tuple[QueuedRequest, ...]

    def allocation_input(self, context: Context, entries: Entries | None = None) -> AllocationInput:
        """Return the allocator's input after serving the queue. `entries`: the records as read under the lock."""
        records = self.records if entries is None else entries
        return after_queue(allocation_input(context, records, self.gpus, self.outside), self.queue)


def take_snapshot(
    context: Context,
    *,
    locked: Collection[str] = (),
    gpus: GpuObservation | None = None,
    waiting_as: str | None = None,
    failed: Callable[[str, Exception], None] | None = None,
) -> Snapshot:
    """Reconcile, then observe everything that a choice of slots depends on, the owners' limits included.

    `locked`: the containers whose locks the caller holds; other locked containers are skipped. `gpus`: the GPUs, if
    already observed. `waiting_as`: the caller's id in the queue; without one, all waiters come first. `failed`: as for
    `reconcile`. Raises EngineUnreachable, GpusUnreachable, Ds01Error.
    """
    containers = context.observer.containers()
    if reconcile(context, containers, locked=locked, failed=failed):
        containers = context.observer.containers_again()
    observation = context.observer.gpus() if gpus is None else gpus
    records = context.ledger.read()
    context.rules.prefetch(records)
    queue = as_queued_requests(context, ahead_of(waiters(context), waiting_as), records)
    return Snapshot(containers, records, observation, outside_containers(context, records, containers), queue)
