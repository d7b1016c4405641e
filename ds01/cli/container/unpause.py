"""container-unpause"""

from __future__ import annotations

import click

from ds01.api.containers import UnpauseContainer
from ds01.cli.command.definition import command as verb
from ds01.cli.command.guide import explain
from ds01.cli.session import Session


@verb(example="container-unpause my-thesis", asks=True)
@click.argument("name", required=False)
def command(session: Session, name: str | None) -> None:
    """Let a paused container continue where it was."""
    container = session.resolve_container(name, states=("running",), verb="unpause")
    explain(session, "unpause")
    acted = session.run(UnpauseContainer(container))
    view = acted.container
    session.say(f"{view.name} is already running." if acted.already else f"{view.name} continues.")
    session.write_document({"container": view})
