"""ds01 notices"""

from __future__ import annotations

from ds01.cli.command.definition import command as verb
from ds01.cli.session import Session
from ds01.cli.ui.formats import format_notice
from ds01.journal.notices import Mailboxes


@verb(example="ds01 notices", guided=False, pending=False)
def command(session: Session) -> None:
    """Show what ds01 did or will do to your containers. Each notice is shown once."""
    notices = Mailboxes(session.settings.mailboxes).take(session.owner.uid)
    session.write_document({"notices": notices})
    for notice in notices:
        session.say(format_notice(notice))
