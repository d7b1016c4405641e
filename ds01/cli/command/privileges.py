"""Checks for commands that only root may run, or the owner of a sandbox."""

from __future__ import annotations

import os
import shlex
from contextlib import suppress

from ds01.cli.session import Session
from ds01.errors import Ds01Error, InvalidState, PermissionDenied


def require_root(session: Session, what: str) -> None:
    """Raise PermissionDenied unless root, or the owner of a sandbox, runs the command: a sandbox is not the machine."""
    if os.geteuid() == 0 or session.installation.is_own_sandbox(os.geteuid()):
        return
    command, words = _typed_command()
    event = {"actor": session.actor.login, "container": None, "user": None, "why": f"{command} needs root"}
    with suppress(Ds01Error):  # an unreadable policy, for example, is reported by other commands
        session.installation.context.emit("refusal", event | {"refusal": None})
    raise PermissionDenied(
        "only root may run this",
        why=f"it changes {what}",
        hint=f"`sudo {shlex.join([*command.split(), *words])}`",
        code="access.denied",
    )


def require_real_server(session: Session, what: str) -> None:
    """Raise InvalidState in a sandbox: a demo or test on a server must not touch the machine."""
    if session.settings.sandbox:
        raise InvalidState(
            f"{what} belong to the machine, and a sandbox must not change them",
            why=f"DS01_STATE names a sandbox, {session.settings.state}",
            hint="`unset DS01_STATE`",
        )


def _typed_command() -> tuple[str, tuple[str, ...]]:
    """Return the command's name and the words after it, as typed."""
    from ds01.cli.command.definition import command_name
    from ds01.cli.command.parser import typed_words

    return command_name(), typed_words()
