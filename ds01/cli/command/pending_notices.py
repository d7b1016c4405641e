"""Show the caller's unseen notices before a command's own output. Only on a terminal; each notice is shown once."""

from __future__ import annotations

import os
import sys

from ds01.cli.session import Session
from ds01.cli.ui.output import print_text


def show_pending_notices(session: Session) -> None:
    """Show the caller's notices on stderr. Costs one lstat if there are none, and never fails."""
    if session.quiet or session.as_json:
        return
    try:
        if sys.stderr.isatty():
            _print_notices(session)
    except Exception:
        return  # a broken mailbox must not stop any command; doctor reports it


def _print_notices(session: Session) -> None:
    settings = session.settings
    uid = os.getuid() if settings.sudo_uid is None else settings.sudo_uid
    if not (settings.mailboxes / f"{uid}.jsonl").lstat().st_size:
        return
    from ds01.cli.ui.formats import format_notice
    from ds01.journal.notices import Mailboxes

    for notice in Mailboxes(settings.mailboxes).take(uid):
        print_text(format_notice(notice), error=True)
