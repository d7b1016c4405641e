"""container-start"""

from __future__ import annotations

import click

from ds01.cli.container import starting
from ds01.cli.container.reaching import say_how_to_reach
from ds01.cli.container.waiting import WaitOptions, wait_options
from ds01.cli.guide import explain
from ds01.cli.options import command as verb
from ds01.cli.session import Session
from ds01.cli.words import gpu_names, short


@verb(example="container-start my-thesis", asks=True)
@click.argument("name", required=False)
@click.option("--recreate", is_flag=True, help="Make it again first, on any free GPU; the workspace stays.")
@wait_options
def command(session: Session, waiting: WaitOptions, name: str | None, recreate: bool) -> None:
    """Start a container in the background.

    A stopped container has its GPU fixed. If somebody else has that one now, --recreate makes the
    container again on another: programs installed inside are lost, /workspace is not. --wait waits
    for its own, and with --recreate for any.
    """
    container = session.find(name, states=("created", "held", "stopped"), verb="start")
    explain(session, "start", name=short(container))
    acted = starting.start(session, container, recreate=recreate, waiting=waiting)
    for warning in acted.warnings:
        session.warn(warning)
    view = acted.container
    gpus = f" on GPU {gpu_names(view.gpus)}" if view.gpus else ""
    session.say(f"{view.name} is already running{gpus}." if acted.already else f"Started {view.name}{gpus}.")
    say_how_to_reach(session, view)
    session.answer({"container": view})
