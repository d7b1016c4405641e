"""container-pause"""

from __future__ import annotations

import click

from ds01.api.containers import PauseContainer
from ds01.cli.command.definition import command as verb
from ds01.cli.command.guide import explain
from ds01.cli.container.steps.startup import suggest_start
from ds01.cli.session import Session


@verb(example="container-pause my-thesis", asks=True)
@click.argument("name", required=False)
def command(session: Session, name: str | None) -> None:
    """Freeze a running container. It keeps its GPU, and its idle time continues to count."""
    container = session.resolve_container(name, states=("running",), verb="pause")
    explain(session, "pause")
    with suggest_start(container):
        acted = session.run(PauseContainer(container))
    view = acted.container
    session.say(f"{view.name} is already paused." if acted.already else f"Paused {view.name}.")
    for warning in acted.warnings:
        session.warn(warning)
    session.write_document({"container": view})
