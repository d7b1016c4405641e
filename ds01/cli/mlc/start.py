"""mlc-start"""

from __future__ import annotations

import click

from ds01.cli.container import starting
from ds01.cli.mlc.line import AimeLine, unasked
from ds01.cli.mlc.meant import find
from ds01.cli.options import command as verb
from ds01.cli.session import Session
from ds01.cli.words import gpu_names


@verb(example="mlc-start my-thesis", asks=True, guided=False, kind=AimeLine)
@click.argument("name", required=False)
@unasked
def command(session: Session, name: str | None, unasked: bool) -> None:
    """Start a container in the background, as container-start does. One of AIME's own tools is adopted first."""
    session.yes |= unasked
    acted = starting.start(session, find(session, name, verb="start", running=False).ours(session))
    view = acted.container
    gpus = f" on GPU {gpu_names(view.gpus)}" if view.gpus else ""
    session.say(f"[{view.name}] runs already{gpus}." if acted.already else f"[{view.name}] started{gpus}.")
    session.answer({"container": view})
