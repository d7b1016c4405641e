"""Notify an owner of what somebody else did to their container."""

from __future__ import annotations

from ds01.gate.call import Call
from ds01.journal.notices import Notice
from ds01.journal.outbox import Letter
from ds01.records.record import Record


def notify_owner(
    call: Call, record: Record, done: str, command: str | None = "container-start", *, subject: str | None = None
) -> tuple[str, ...]:
    """Put a notice into the owner's mailbox and show it on their terminals, unless the actor is the owner.

    Only root can write into others' mailboxes; other notices wait for the tick. `done`: what happened, as a participle.
    `command`: the command that reverses it. `subject`: what it happened to, if not the whole container. Returns
    warnings for the actor.
    """
    context, actor = call.context, call.actor.login
    if record.user == actor:
        return ()
    text = f"{subject or record.name} was {done} by {actor}."
    reverse = None if command is None else f"{command} {record.name}"
    notice = Notice(context.clock(), done.split()[0], record.container_name, text, reverse)
    if call.notifier.deliver(record, notice):
        call.notifier.announce(record, notice)
    elif not context.ledger.outbox().put(Letter(record.uid, record.gid, record.user, notice)):
        return (f"{record.user} could not be notified: the state directory cannot be written",)
    return ()
