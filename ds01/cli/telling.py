"""Telling an owner what somebody else did to their container."""

from __future__ import annotations

from ds01.automation.telling import Teller
from ds01.cli.session import Session
from ds01.journal.notices import Mailboxes, Notice
from ds01.journal.outbox import Letter
from ds01.records.record import Record


def record_of(session: Session, container: str) -> Record | None:
    """The record of a container, to be kept for when it may be gone."""
    record = session.installation.ledger.read().get(container)
    return record if isinstance(record, Record) else None


def tell_owner(
    session: Session,
    record: Record | None,
    done: str,
    command: str | None = "container-start",
    *,
    subject: str | None = None,
) -> None:
    """Put a notice into the owner's mailbox and show it on their terminals, unless it was they who did it.

    Only root can write into others' mailboxes; what could not be delivered waits for the tick.
    `command` is the one that brings it back. `subject`: what was `done` to, if not the whole container.
    """
    by = session.actor.login
    if record is None or record.user == by:
        return
    emit = session.context.emit
    teller = Teller(Mailboxes(session.settings.mailboxes), session.policy.notify, emit, actor=by)
    text = f"{subject or record.name} was {done} by {by}."
    brings_back = None if command is None else f"{command} {record.name}"
    notice = Notice(session.now(), done.split()[0], record.container_name, text, brings_back)
    if teller.deliver(record, notice):
        teller.announce(record, notice)
    elif not session.installation.ledger.outbox().put(Letter(record.uid, record.gid, record.user, notice)):
        session.warn(f"{record.user} could not be told; the state folder cannot be written")
