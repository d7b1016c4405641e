"""Choose held leases to end for waiters of higher priority, if the policy says `reclaim_held: true`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ds01.gpus.model import ActiveLease, Refusal
from ds01.placement.allocation_input import AllocationInput
from ds01.placement.allocator import QueuedRequest, after_queue, choose_slots


def leases_to_reclaim(situation: AllocationInput, queue: Sequence[QueuedRequest]) -> list[ActiveLease]:
    """Return the held leases to end so that waiters can be served, in queue order. Pure.

    Only leases of a lower priority than the waiter's, the lowest first, and only if ending them serves the waiter.
    """
    reclaimed: list[ActiveLease] = []
    for waiter in queue:
        choice = choose_slots(situation, waiter.request, waiter.requester, waiter.limits)
        if isinstance(choice, Refusal) and choice.temporary:
            ending = _leases_to_end(situation, waiter)
            reclaimed += ending
            situation = _without_leases(situation, ending)
        situation = after_queue(situation, [waiter])
    return reclaimed


def _leases_to_end(situation: AllocationInput, waiter: QueuedRequest) -> list[ActiveLease]:
    """Return the held leases whose end serves the waiter, lowest priority and oldest first; empty if none does."""
    held = [
        lease
        for lease in situation.leases
        if lease.held and not lease.manual and lease.priority < waiter.limits.priority
    ]
    ended: list[ActiveLease] = []
    for lease in sorted(held, key=lambda lease: (lease.priority, lease.since, lease.container)):
        ended.append(lease)
        if not isinstance(_choose(situation, ended, waiter), Refusal):
            # Leases that turn out not to be needed are kept.
            for other in list(ended):
                remaining = [item for item in ended if item is not other]
                if not isinstance(_choose(situation, remaining, waiter), Refusal):
                    ended = remaining
            return ended
    return []


def _choose(situation: AllocationInput, ended: Sequence[ActiveLease], waiter: QueuedRequest) -> object:
    return choose_slots(_without_leases(situation, ended), waiter.request, waiter.requester, waiter.limits)


def _without_leases(situation: AllocationInput, ended: Sequence[ActiveLease]) -> AllocationInput:
    names = {lease.container for lease in ended}
    return replace(situation, leases=[lease for lease in situation.leases if lease.container not in names])
