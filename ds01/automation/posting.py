"""Delivers the notices that administrators who are not root left in the outbox."""

from __future__ import annotations

from ds01.automation.report import Report
from ds01.errors import Ds01Error
from ds01.journal.notifier import Teller
from ds01.lifecycle.context.context import Context


def post(context: Context, teller: Teller, report: Report) -> None:
    """Deliver what waits. What nobody may send is removed; what cannot be delivered waits for the next tick."""
    for waiting in context.ledger.outbox().queued_letters():
        letter = waiting.letter
        try:
            if letter is not None and _may_send(context, waiting.sender, letter.uid):
                if not teller.deliver(letter, letter.notice):
                    raise Ds01Error("the notice could not be delivered")
                teller.announce(letter, letter.notice)
            context.ledger.outbox().discard(waiting)
        except Exception as error:
            report.failed(letter.notice.container if letter is not None else "", "notice", error)


def _may_send(context: Context, sender: int, addressee: int) -> bool:
    """Whether the policy lets this user act on others' containers, and so tell them of it."""
    if sender in (0, addressee) or (context.sandbox and sender == context.ledger.owner_uid):
        return True
    return context.rules.makes_admin(sender, str(sender))
