"""container-adopt"""

from __future__ import annotations

import click

from ds01.cli.command.definition import command as verb
from ds01.cli.command.guide import explain
from ds01.cli.container.steps.adoption import adopt_container, resolve_or_find_adoptable
from ds01.cli.session import Session
from ds01.cli.ui.formats import short_name


@verb(example="container-adopt my-thesis")
@click.argument("name")
def command(session: Session, name: str) -> None:
    """Take over a container created by AIME's tools: its GPU becomes a lease, and your limits apply to it.

    Settings that Docker fixes at creation stay until container-start --recreate. A container that runs
    on a GPU of somebody else is refused. Run it again to apply today's limits.
    """
    container, _ = resolve_or_find_adoptable(session, name)
    explain(session, "adopt", name=short_name(container))
    acted = adopt_container(session, container)
    session.write_document({"container": acted.container})
