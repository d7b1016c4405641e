"""container-run"""

from __future__ import annotations

import click

from ds01.cli.container.entering import enter
from ds01.cli.options import command as verb
from ds01.cli.session import Session


@verb(example="container-run my-thesis -- python train.py", json=False)
@click.argument("name", required=False)
@click.argument("what", nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND…]")
def command(session: Session, name: str | None, what: tuple[str, ...]) -> int:
    """Enter a container with a shell, or run COMMAND in it. Starts it if needed.

    With COMMAND the exit code is the command's, and 125 for a failure of ds01's own.
    """
    container = session.find(name, states=("running", "created", "held", "stopped"), verb="run")
    acted = session.gate.start(session.actor, container)
    if not acted.already and not what:
        session.say(f"Started {acted.container.name}.")
    return enter(session, acted.container, what)
