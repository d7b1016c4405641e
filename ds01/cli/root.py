"""What only root may do, and the owner of a state folder of one's own."""

from __future__ import annotations

import os
import shlex
from contextlib import suppress

from ds01.cli.session import Session
from ds01.errors import Ds01Error, NotPossible, Refused


def need_root(session: Session, what: str) -> None:
    """Raises Refused. In a state folder of one's own there is nothing of the machine's, and its owner may."""
    if os.geteuid() == 0 or (session.settings.sandbox and session.installation.ledger.owner_uid == os.geteuid()):
        return
    command, words = _typed()
    facts = {"actor": session.actor.login, "container": None, "user": None, "why": f"{command} is root's"}
    with suppress(Ds01Error):  # an unreadable policy, say, has the last word in another command
        session.context.emit("refusal", facts | {"refusal": None})
    raise Refused(
        "only root may do this",
        why=f"it changes {what}",
        hint=f"`sudo {shlex.join([*command.split(), *words])}`",
        code="access.denied",
    )


def need_machine(session: Session, what: str) -> None:
    """Raises NotPossible: a demo or a test beside a server must not touch what is the machine's."""
    if session.settings.sandbox:
        raise NotPossible(
            f"{what} are the machine's",
            why=f"DS01_STATE names a state folder of one's own, {session.settings.state}",
            hint="`unset DS01_STATE`",
        )


def _typed() -> tuple[str, tuple[str, ...]]:
    """Return the command's name and the words after it, as typed."""
    from ds01.cli.arguments import typed_words
    from ds01.cli.options import typed

    return typed(), typed_words()
