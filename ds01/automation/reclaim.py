"""Taking held leases back for waiters of higher priority, where the policy says `reclaim_held: true`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ds01.gpus.model import Holding, Refusal
from ds01.placement.allocator import Ahead, behind, choose
from ds01.placement.situation import Situation


def to_reclaim(situation: Situation, line: Sequence[Ahead]) -> list[Holding]:
    """The held leases to end, so that those who wait can be served, in the order of the line. Pure.

    Only of stopped containers of lower priority than the waiter's, the lowest first, and only if that serves it.
    """
    taken: list[Holding] = []
    for waiter in line:
        choice = choose(situation, waiter.request, waiter.who, waiter.limits)
        if isinstance(choice, Refusal) and choice.temporary:
            needed = _enough(situation, waiter)
            taken += needed
            situation = _without(situation, needed)
        situation = behind(situation, [waiter])
    return taken


def _enough(situation: Situation, waiter: Ahead) -> list[Holding]:
    """The held leases whose end serves the waiter, the lowest priority and the oldest first; none if none does."""
    held = [
        lease
        for lease in situation.leases
        if lease.held and not lease.by_hand and lease.priority < waiter.limits.priority
    ]
    ended: list[Holding] = []
    for lease in sorted(held, key=lambda lease: (lease.priority, lease.since, lease.container)):
        ended.append(lease)
        if not isinstance(_choose(situation, ended, waiter), Refusal):
            # What turned out not to be needed stays where it is.
            for other in list(ended):
                fewer = [item for item in ended if item is not other]
                if not isinstance(_choose(situation, fewer, waiter), Refusal):
                    ended = fewer
            return ended
    return []


def _choose(situation: Situation, ended: Sequence[Holding], waiter: Ahead) -> object:
    return choose(_without(situation, ended), waiter.request, waiter.who, waiter.limits)


def _without(situation: Situation, ended: Sequence[Holding]) -> Situation:
    names = {lease.container for lease in ended}
    return replace(situation, leases=[lease for lease in situation.leases if lease.container not in names])
