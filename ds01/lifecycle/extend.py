"""Extend the deadlines of a running container."""

from __future__ import annotations

from datetime import timedelta

from ds01.errors import InvalidState, PermissionDenied, UsageError
from ds01.lifecycle.context.context import Context
from ds01.policy.units import format_duration
from ds01.records.deadlines import idle_ends
from ds01.records.record import Record, with_changes
from ds01.records.state_machine import State
from ds01.system.users import Actor


def extend(context: Context, actor: Actor, record: Record, duration: timedelta, *, reason: str | None) -> Record:
    """Move the idle and the runtime deadline by `duration`. The caller holds the container's lock.

    Raises UsageError if `duration` is not positive, InvalidState if the container is not running, PermissionDenied if
    all extensions together exceed the policy's max_extension.
    """
    if duration <= timedelta(0):
        raise UsageError("an extension must be longer than 0")
    if record.state is not State.RUNNING:
        raise InvalidState(
            f"{record.name} is not running (it is {record.state.value}); only a running container can be extended"
        )
    limits = context.rules.limits_of(record).limits
    longest, total = limits.max_extension, record.extended + duration
    if longest is not None and total > longest:
        left = max(longest - record.extended, timedelta(0))
        raise PermissionDenied(
            f"the policy allows {format_duration(longest)} of extensions between two starts",
            why=f"{format_duration(record.extended)} used so far, {format_duration(duration)} requested",
            hint=f"`container-extend {record.name} {format_duration(left)}` uses what is left"
            if left
            else "an administrator can raise max_extension in the policy",
        )
    now = context.clock()
    until = max(idle_ends(record, limits) or now, now) + duration
    with context.ledger.transaction() as ledger:
        record = ledger.commit(with_changes(record, extended_until=until, extended=total), now=now)
    facts = {"actor": actor.login, "container": record.container_name, "user": record.user, "why": reason}
    context.emit("extension", facts | {"seconds": duration, "until": until})
    return record
