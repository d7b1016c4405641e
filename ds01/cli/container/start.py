"""container-start"""

from __future__ import annotations

import click

from ds01.cli.command.definition import command as verb
from ds01.cli.command.guide import explain
from ds01.cli.container.steps import startup
from ds01.cli.container.steps.jupyter_hint import show_jupyter_hint
from ds01.cli.container.steps.queue_wait import WaitOptions, wait_options
from ds01.cli.session import Session
from ds01.cli.ui.formats import format_gpus, short_name


@verb(example="container-start my-thesis", asks=True)
@click.argument("name", required=False)
@click.option("--recreate", is_flag=True, help="Create it again first, on any free GPU; the workspace stays.")
@wait_options
def command(session: Session, waiting: WaitOptions, name: str | None, recreate: bool) -> None:
    """Start a container in the background.

    A stopped container can only use the GPU it was created with. If somebody else has that GPU now,
    --recreate creates the container again on another: programs installed inside are lost, /workspace
    is not. --wait waits for that GPU, or with --recreate for any.
    """
    container = session.resolve_container(name, states=("created", "held", "stopped"), verb="start")
    explain(session, "start", name=short_name(container))
    acted = startup.start(session, container, recreate=recreate, waiting=waiting)
    for warning in acted.warnings:
        session.warn(warning)
    view = acted.container
    gpus = f" on GPU {format_gpus(view.gpus)}" if view.gpus else ""
    session.say(f"{view.name} is already running{gpus}." if acted.already else f"Started {view.name}{gpus}.")
    show_jupyter_hint(session, view)
    session.write_document({"container": view})
