"""What only root may do, and the owner of a state folder of one's own."""

from __future__ import annotations

import os
import shlex
from contextlib import suppress

from ds01.cli.session import Session
from ds01.errors import Ds01Error, InvalidState, PermissionDenied


def require_root(session: Session, what: str) -> None:
    """Raises PermissionDenied. In a state folder of one's own there is nothing of the machine's, and its owner may."""
    if os.geteuid() == 0 or session.installation.is_own_sandbox(os.geteuid()):
        return
    command, words = _typed_command()
    event = {"actor": session.actor.login, "container": None, "user": None, "why": f"{command} is root's"}
    with suppress(Ds01Error):  # an unreadable policy, say, has the last word in another command
        session.installation.context.emit("refusal", event | {"refusal": None})
    raise PermissionDenied(
        "only root may do this",
        why=f"it changes {what}",
        hint=f"`sudo {shlex.join([*command.split(), *words])}`",
        code="access.denied",
    )


def require_real_server(session: Session, what: str) -> None:
    """Raises InvalidState: a demo or a test beside a server must not touch what is the machine's."""
    if session.settings.sandbox:
        raise InvalidState(
            f"{what} are the machine's",
            why=f"DS01_STATE names a state folder of one's own, {session.settings.state}",
            hint="`unset DS01_STATE`",
        )


def _typed_command() -> tuple[str, tuple[str, ...]]:
    """Return the command's name and the words after it, as typed."""
    from ds01.cli.command.definition import command_name
    from ds01.cli.command.parser import typed_words

    return command_name(), typed_words()
