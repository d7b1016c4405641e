"""Deliver the notices that administrators without root left in the outbox."""

from __future__ import annotations

from ds01.automation.report import TickReport
from ds01.errors import Ds01Error
from ds01.journal.notifier import Notifier
from ds01.lifecycle.context.context import Context


def deliver_outbox(context: Context, notifier: Notifier, report: TickReport) -> None:
    """Deliver the notices in the outbox. Those without permission are discarded; failed ones wait for the next tick."""
    for entry in context.ledger.outbox().queued_letters():
        letter = entry.letter
        try:
            if letter is not None and _may_send(context, entry.sender, letter.uid):
                if not notifier.deliver(letter, letter.notice):
                    raise Ds01Error("the notice could not be delivered")
                notifier.announce(letter, letter.notice)
            context.ledger.outbox().discard(entry)
        except Exception as error:
            report.add_error(letter.notice.container if letter is not None else "", "notice", error)


def _may_send(context: Context, sender: int, addressee: int) -> bool:
    """Return whether the sender may act on the addressee's containers, and so send them notices."""
    if sender in (0, addressee) or (context.sandbox and sender == context.ledger.owner_uid):
        return True
    return context.rules.makes_admin(sender, str(sender))
