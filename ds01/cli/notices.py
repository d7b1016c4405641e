"""ds01 notices"""

from __future__ import annotations

from ds01.cli.options import command as verb
from ds01.cli.session import Session
from ds01.cli.words import notice_line
from ds01.journal.notices import Mailboxes


@verb(example="ds01 notices", guided=False, pending=False)
def command(session: Session) -> None:
    """Show what ds01 did or will do to your containers, each once."""
    found = Mailboxes(session.settings.mailboxes).take(session.owner.uid)
    session.answer({"notices": found})
    for notice in found:
        session.say(notice_line(notice))
