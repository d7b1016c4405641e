"""mlc-open"""

from __future__ import annotations

import contextlib

import click

from ds01.api.containers import StopContainer
from ds01.api.measures import CountOtherProcesses
from ds01.cli.command.definition import command as verb
from ds01.cli.container.steps import startup
from ds01.cli.container.steps.shell import run_attached
from ds01.cli.container.steps.stop_progress import follow_stop
from ds01.cli.container.stop import report_outcome
from ds01.cli.mlc.command_line import AimeCommand, assume_yes_option
from ds01.cli.mlc.target import resolve_target
from ds01.cli.session import Session
from ds01.cli.ui.formats import format_count
from ds01.errors import NotFound, UsageError


@verb(example="mlc-open my-thesis", json=False, asks=True, guided=False, kind=AimeCommand)
@click.argument("name", required=False)
@assume_yes_option
def command(session: Session, name: str | None, assume_yes: bool) -> None:
    """Enter a container with a shell; starts it if needed.

    When you leave, it is stopped, unless other programs run in it. With container-run it stays running.
    A container created by AIME's tools is first taken over, as by container-adopt.
    """
    session.yes |= assume_yes
    if not session.has_terminal:
        hint = f"`container-run {name or 'NAME'} -- COMMAND` runs a command without one"
        raise UsageError("a shell needs a terminal", hint=hint)
    acted = startup.start(session, resolve_target(session, name, verb="open").ensure_adopted(session))
    view = acted.container
    session.say(f"[{view.name}] is already running." if acted.already else f"[{view.name}] started.")
    session.say(f"Entering {view.name}. It is stopped when you leave, unless other programs run in it.")
    run_attached(session, view)
    with contextlib.suppress(NotFound):  # it was removed in the meantime
        _leave(session, view.container, view.name)


def _leave(session: Session, container: str, name: str) -> None:
    """Stop the container if only its first process is left, as AIME's tools do."""
    left = session.run(CountOtherProcesses(container))
    if left:
        processes = format_count(left, "process")
        session.say(f"[{name}] is still running: {processes} left in it. `mlc-stop {name}` ends it.")
        return
    acted = follow_stop(session, container, session.stream(StopContainer(container)), retry_command=f"mlc-stop {name}")
    report_outcome(session, acted, released=False)
    for warning in acted.warnings:
        session.warn(warning)
