"""mlc-open"""

from __future__ import annotations

import contextlib

import click

from ds01.api.containers import CountOtherProcesses, StopContainer
from ds01.cli.container import starting
from ds01.cli.container.ending import follow
from ds01.cli.container.entering import join
from ds01.cli.container.stop import say_outcome
from ds01.cli.mlc.line import AimeLine, unasked
from ds01.cli.mlc.meant import find
from ds01.cli.options import command as verb
from ds01.cli.session import Session
from ds01.cli.words import counted
from ds01.errors import NotFound, WrongUse


@verb(example="mlc-open my-thesis", json=False, asks=True, guided=False, kind=AimeLine)
@click.argument("name", required=False)
@unasked
def command(session: Session, name: str | None, unasked: bool) -> None:
    """Enter a container with a shell; starts it if needed. One of AIME's own tools is adopted first.

    When you leave and nothing else is left in it, it is stopped. container-run lets it go on.
    """
    session.yes |= unasked
    if not session.terminal:
        hint = f"`container-run {name or 'NAME'} -- COMMAND` runs something without one"
        raise WrongUse("a shell needs a terminal", hint=hint)
    acted = starting.start(session, find(session, name, verb="open").ours(session))
    view = acted.container
    session.say(f"[{view.name}] is already running." if acted.already else f"[{view.name}] started.")
    session.say(f"Entering {view.name}. It is stopped when you leave, unless something else is left in it.")
    join(session, view)
    with contextlib.suppress(NotFound):  # it was removed meanwhile
        _leave(session, view.container, view.name)


def _leave(session: Session, container: str, name: str) -> None:
    """As AIME's tools end a container: when its first process is all that is left."""
    left = session.run(CountOtherProcesses(container))
    if left:
        processes = counted(left, "process")
        session.say(f"[{name}] goes on running: {processes} left in it. `mlc-stop {name}` ends it.")
        return
    acted = follow(session, container, session.stream(StopContainer(container)), again=f"mlc-stop {name}")
    say_outcome(session, acted, released=False)
