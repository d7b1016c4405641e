"""Editing a text with the user's own editor."""

from __future__ import annotations

import os
import shlex
import tempfile
from pathlib import Path

from ds01.cli.session import Session
from ds01.system.home import Home
from ds01.system.programs import find, run_at_terminal

EDITORS = ("sensible-editor", "editor", "nano", "vim", "vi")  # Debian's own choice first


def edit(session: Session, text: str, *, name: str) -> str:
    """Open the text in the user's editor, and return the result. Raises Ds01Error if that fails."""
    words = shlex.split(session.settings.editor or "")
    program = words or [next((editor for editor in EDITORS if find(editor)), EDITORS[0])]
    # Also under sudo run it as the user: an editor that runs as root could open and start anything.
    uid = session.settings.sudo_uid if session.actor.via == "sudo" else session.actor.uid
    home = Home(session.users.by_uid(session.actor.uid if uid is None else uid))
    with tempfile.TemporaryDirectory(prefix="ds01-") as directory:
        if os.geteuid() == 0:
            os.chown(directory, home.account.uid, home.account.gid)
        path = Path(directory) / name
        home.write(path, text, mode=0o600)
        run_at_terminal([*program, str(path)], account=home.account)
        return home.read_text(path) or ""
