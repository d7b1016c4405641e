"""mlc-stop"""

from __future__ import annotations

import click

from ds01.cli import ask, words
from ds01.cli.container.ending import follow
from ds01.cli.container.stop import say_outcome
from ds01.cli.mlc.line import AimeLine, unasked
from ds01.cli.mlc.meant import find
from ds01.cli.options import command as verb
from ds01.cli.session import Session
from ds01.cli.telling import record_of, tell_owner


@verb(example="mlc-stop my-thesis -Y", asks=True, guided=False, kind=AimeLine)
@click.argument("name", required=False)
@unasked
def command(session: Session, name: str | None, unasked: bool) -> None:
    """Stop a container, as container-stop does: its programs get time to save, its GPU is held for a while.

    One of AIME's own tools is adopted first.
    """
    session.yes |= unasked
    meant = find(session, name, verb="stop", running=True)
    count = 0 if meant.adoptable else session.gate.processes(session.actor, meant.container)
    ends = words.processes(count) if count else "all that runs in it ends"
    if session.interactive and not ask.confirm(f"Stop {meant.name}? ({ends})", default=False):
        session.say(f"Nothing was stopped: {meant.name} goes on running.")
        return
    if count:
        session.say(f"Stopping {meant.name}: {ends} …")
    container = meant.ours(session, ending=True)
    steps = session.gate.stop_steps(session.actor, container)
    acted = follow(session, container, steps, again=f"mlc-stop {meant.name}")
    say_outcome(session, acted, released=False)
    if not acted.already:
        tell_owner(session, record_of(session, container), "stopped")
    session.answer({"container": acted.container})
