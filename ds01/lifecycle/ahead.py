"""The waiting line as today's policy has it: who may stand in it, in which order, and with which limits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ds01.errors import NotFound
from ds01.gpus.allocator import Ahead
from ds01.gpus.situation import Requester
from ds01.lifecycle.line import Waiter, in_order
from ds01.lifecycle.world import Entries, World, is_manual, readable
from ds01.system.users import Account


def waiters(world: World) -> tuple[Waiter, ...]:
    """Who waits now, in order. What a file says of its owner's rights counts for nothing: the policy says it."""
    standing = [waiter for waiter in world.ledger.line().waiters() if _may_wait(world, waiter)]
    return in_order(
        replace(waiter, priority=world.limits(_account(world, waiter.uid)).limits.priority) for waiter in standing
    )


def in_line(world: World, line: Iterable[Waiter], entries: Entries) -> tuple[Ahead, ...]:
    """The waiters as the allocator sees them. One whose container is being made has its lease already."""
    return tuple(seen_by_allocator(world, waiter, entries) for waiter in line if waiter.container not in entries)


def seen_by_allocator(world: World, waiter: Waiter, entries: Entries) -> Ahead:
    """A waiter with today's limits, and how many containers its owner has."""
    account = _account(world, waiter.uid)
    limits = world.limits(account)
    own = [record for record in readable(entries) if record.uid == waiter.uid and not is_manual(record)]
    who = Requester(account.login, account.uid, limits.group, waiter.container)
    return Ahead(waiter.request.gpus, who, limits.limits, len(own))


def _may_wait(world: World, waiter: Waiter) -> bool:
    """Whether whose file it is may wait for whom it names: oneself, or as an administrator for others."""
    if waiter.by in (waiter.uid, 0) or (world.own and waiter.by == world.ledger.owner_uid):
        return True
    return world.is_admin(waiter.by, str(waiter.by))


def _account(world: World, uid: int) -> Account:
    """An account; one that is gone from the user database has no name that a policy could know."""
    try:
        return world.users.by_uid(uid)
    except NotFound:
        return Account(uid, uid, str(uid), "/")
