"""mlc-stop"""

from __future__ import annotations

import click

from ds01.api.containers import CountProcesses, StopContainer
from ds01.cli import ask, words
from ds01.cli.container.ending import follow
from ds01.cli.container.stop import say_outcome
from ds01.cli.mlc.line import AimeLine, unasked
from ds01.cli.mlc.meant import find
from ds01.cli.options import command as verb
from ds01.cli.session import Session


@verb(example="mlc-stop my-thesis -Y", asks=True, guided=False, kind=AimeLine)
@click.argument("name", required=False)
@unasked
def command(session: Session, name: str | None, unasked: bool) -> None:
    """Stop a container, as container-stop does: its programs get time to save, its GPU is held for a while.

    One of AIME's own tools is adopted first.
    """
    session.yes |= unasked
    meant = find(session, name, verb="stop", running=True)
    count = 0 if meant.adoptable else session.run(CountProcesses(meant.container))
    ends = words.processes(count) if count else "all that runs in it ends"
    if session.interactive and not ask.confirm(f"Stop {meant.name}? ({ends})", default=False):
        session.say(f"Nothing was stopped: {meant.name} goes on running.")
        return
    if count:
        session.say(f"Stopping {meant.name}: {ends} …")
    container = meant.ours(session, ending=True)
    steps = session.stream(StopContainer(container))
    acted = follow(session, container, steps, again=f"mlc-stop {meant.name}")
    say_outcome(session, acted, released=False)
    for warning in acted.warnings:
        session.warn(warning)
    session.answer({"container": acted.container})
