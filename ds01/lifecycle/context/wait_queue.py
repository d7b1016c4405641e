"""The queue under today's policy: who may wait, in which order, and with which limits."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace

from ds01.errors import NotFound
from ds01.lifecycle.context.context import Context
from ds01.placement.allocation_input import Requester
from ds01.placement.allocator import QueuedRequest
from ds01.records.entries import Entries, is_manual, readable
from ds01.records.ledger import UnreadableRecord
from ds01.records.record import Record
from ds01.records.state_machine import State
from ds01.records.wait_queue import Waiter, sort_waiters
from ds01.system.users import Account

SUSPENDED_AFTER = 60.0  # seconds without an attempt; a waiter that runs tries every few seconds


def waiters(context: Context) -> tuple[Waiter, ...]:
    """Return the current waiters in order. Rights and priority come from the policy, not from the waiter's file."""
    allowed = [waiter for waiter in context.ledger.wait_queue().waiters() if may_wait(context, waiter)]
    return sort_waiters(
        replace(waiter, priority=context.rules.limits(_account(context, waiter.uid)).limits.priority)
        for waiter in allowed
    )


def as_queued_requests(context: Context, queue: Iterable[Waiter], entries: Entries) -> tuple[QueuedRequest, ...]:
    """Return the waiters as the allocator sees them.

    Left out are waiters whose container is being created or started, since it has its lease already, and suspended
    waiters, since nobody would use a GPU that is kept for them.
    """
    return tuple(
        queued_request(context, waiter, entries)
        for waiter in queue
        if _lacks_lease(entries.get(waiter.container)) and not is_suspended(waiter)
    )


def ahead_of(queue: tuple[Waiter, ...], waiting_as: str | None) -> tuple[Waiter, ...]:
    """Return the waiters before the one with the id `waiting_as`; all of them if that id does not wait."""
    ids = [waiter.id for waiter in queue]
    return queue[: ids.index(waiting_as)] if waiting_as in ids else queue


def is_suspended(waiter: Waiter) -> bool:
    """Return whether the waiter has not tried for a minute, as after Ctrl-Z or SIGSTOP.

    A time far in the future counts too: the clock was set back, and a running waiter corrects its time within seconds.
    """
    return abs(time.time() - waiter.tried_at) > SUSPENDED_AFTER


def queued_request(context: Context, waiter: Waiter, entries: Entries) -> QueuedRequest:
    """Return a waiter with its current limits and the number of its owner's other containers."""
    account = _account(context, waiter.uid)
    limits = context.rules.limits(account)
    owned = [record for record in readable(entries) if record.uid == waiter.uid and not is_manual(record)]
    others = [record for record in owned if record.container_name != waiter.container]
    who = Requester(account.login, account.uid, limits.group, waiter.container)
    return QueuedRequest(waiter.request.gpus, who, limits.limits, len(others))


def _lacks_lease(entry: Record | UnreadableRecord | None) -> bool:
    """Return whether a waiter's container does not exist yet, or is stopped without a lease."""
    return entry is None or (isinstance(entry, Record) and entry.state is State.STOPPED and entry.lease is None)


def may_wait(context: Context, waiter: Waiter) -> bool:
    """Return whether the owner of the entry may wait for the user in it: for themselves, or as an administrator."""
    if waiter.by in (waiter.uid, 0) or (context.sandbox and waiter.by == context.ledger.owner_uid):
        return True
    return context.rules.makes_admin(waiter.by, str(waiter.by))


def _account(context: Context, uid: int) -> Account:
    """Return the account; for a uid that the user database lacks, one with a name that no policy contains."""
    try:
        return context.users.by_uid(uid)
    except NotFound:
        return Account(uid, uid, str(uid), "/")
