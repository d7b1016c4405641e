"""Wait for a GPU: join the queue, try again whenever something has changed, and take the lease oneself."""

from __future__ import annotations

import time
from collections.abc import Generator
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from ds01.api.refusals import refusal_of
from ds01.api.steps import Waiting
from ds01.dataclass import dataclass
from ds01.errors import (
    Busy,
    EngineUnreachable,
    GpusUnreachable,
    InvalidState,
    NoCapacity,
    NotFound,
    PermissionDenied,
    PolicyUnreadable,
)
from ds01.lifecycle.context import wait_queue
from ds01.lifecycle.context.context import Context
from ds01.lifecycle.context.owners import Owners
from ds01.records.ledger import Version
from ds01.records.request import ContainerRequest
from ds01.records.wait_queue import Waiter
from ds01.system.users import Account

POLL_INTERVAL = 0.5  # seconds between two checks whether the ledger or the queue has changed
RETRY_INTERVAL = 5.0  # seconds until an attempt without such a change: a process outside ds01 may have ended


T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Attempt(Protocol[T_co]):
    """One attempt to be served. `first`: the first one. Raises NoCapacity while no GPU is free."""

    def __call__(self, waiter: Waiter, *, first: bool) -> T_co: ...


def wait(
    context: Context,
    owner: Account,
    container: str,
    request: ContainerRequest,
    longest: timedelta | None,
    attempt: Attempt[T],
) -> Generator[Waiting | T, None, None]:
    """Yield each change of the position, and at last the result of `attempt`. Closing it leaves the queue.

    Raises NoCapacity after `longest`, InvalidState if somebody cancelled the wait, and the errors of `attempt`.
    """
    context.rules.refresh()
    limits = context.rules.limits(owner)
    until = None if longest is None else time.monotonic() + longest.total_seconds()
    entry = Waiter("", owner.login, owner.uid, limits.limits.priority, context.clock(), container, request)
    with context.ledger.wait_queue().join(entry) as waiter:
        result = yield from _until_served(context, waiter, limits.group, until, attempt)
    yield result


def _until_served(
    context: Context, waiter: Waiter, group: str, until: float | None, attempt: Attempt[T]
) -> Generator[Waiting, None, T]:
    """Try until an attempt succeeds. `group`: the owner's group when the wait began. Raises what `wait` raises."""
    history = _WaitHistory(waiter.since)
    try:
        return (yield from _attempts(context, waiter, group, until, attempt, history))
    finally:
        if history.waits:
            _emit_wait(context, waiter, group, history)


def _attempts(
    context: Context, waiter: Waiter, group: str, until: float | None, attempt: Attempt[T], history: _WaitHistory
) -> Generator[Waiting, None, T]:
    queue = context.ledger.wait_queue()
    last: Waiting | None = None
    while True:
        if not queue.refresh(waiter):
            history.outcome = "cancelled"
            raise InvalidState("the wait was cancelled", hint="`ds01 queue` shows who waits")
        before = context.ledger.version()
        over = until is not None and time.monotonic() >= until
        try:
            context.rules.refresh()  # the attempt does so too, but the right to wait depends on it as well
            if last is not None:
                _check_user_database(context, waiter, group)
            _check_may_wait(context, waiter)
            history.tried_at = context.clock()
            result = attempt(waiter, first=last is None)
            history.outcome = "served"
            return result
        except NoCapacity as error:
            current = refusal_of(error)
            if current is None or not current.temporary or over:
                history.outcome = "timed_out" if over else "refused"
                raise
            refusal = current
        except (EngineUnreachable, GpusUnreachable, PolicyUnreadable, Busy):
            if last is None or over:
                raise
            refusal = last.refusal  # a restart of Docker or a half-written policy must not end a long wait
        others = [item.id for item in wait_queue.waiters(context)]
        now = Waiting(waiter.id, others.index(waiter.id) + 1 if waiter.id in others else 1, refusal)
        if last is None or now.position != last.position:
            last = now
            history.waits = True
            yield now
        _until_something_changed(context, before, until)


@dataclass
class _WaitHistory:
    """How a wait went. `tried_at`: when the latest attempt began; creating the container is no waiting."""

    tried_at: datetime
    waits: bool = False  # false: served at once, or refused
    outcome: str = "left"  # served, cancelled, timed_out, refused, or left: the command was ended


def _emit_wait(context: Context, waiter: Waiter, group: str, history: _WaitHistory) -> None:
    end = history.tried_at if history.outcome == "served" else context.clock()
    request = waiter.request
    facts = {"actor": waiter.user, "container": waiter.container, "user": waiter.user, "why": None}
    about = {"uid": waiter.uid, "group": group, "project": request.project or request.name, "image": request.image}
    seconds = max(end - waiter.since, timedelta(0))
    context.emit("wait", facts | about | {"seconds": seconds, "outcome": history.outcome})


def _check_user_database(context: Context, waiter: Waiter, group: str) -> None:
    """Raise Busy while the user database does not answer: then the owner's limits are unknown."""
    try:
        context.users.by_uid(waiter.uid)
    except NotFound as error:
        raise Busy(f"the user database does not know {waiter.user} now", hint="try again") from error
    missing = Owners(context.rules.policy, context.users, context.rules.owners.memory).missing_groups(group)
    if missing:
        raise Busy(f"the user database lacks the Unix group {', '.join(sorted(missing))} now", hint="try again")


def _check_may_wait(context: Context, waiter: Waiter) -> None:
    """Raise PermissionDenied if the actor waits for somebody else and is no longer an administrator."""
    if not wait_queue.may_wait(context, waiter):
        raise PermissionDenied(
            f"you may no longer wait for {waiter.user}",
            why="only administrators may wait for others, and the policy has changed since the wait began",
            code="access.denied",
        )


def _until_something_changed(context: Context, before: Version, until: float | None) -> None:
    """Sleep until the ledger or the queue has changed since `before`, at most RETRY_INTERVAL."""
    again = time.monotonic() + RETRY_INTERVAL
    end = again if until is None else min(again, until)
    while context.ledger.version() == before:
        left = end - time.monotonic()
        if left <= 0:
            return
        context.sleep(min(POLL_INTERVAL, left))
