"""container-adopt"""

from __future__ import annotations

import click

from ds01.cli.container.adopting import find, take_over
from ds01.cli.guide import explain
from ds01.cli.options import command as verb
from ds01.cli.session import Session
from ds01.cli.words import short


@verb(example="container-adopt my-thesis")
@click.argument("name")
def command(session: Session, name: str) -> None:
    """Take over a container that AIME's tools made: its GPU becomes a lease, your limits hold for it.

    What cannot be changed any more stays as it was made, until container-start --recreate. If it runs on
    a GPU that somebody else has, it is refused. Once more sets today's limits.
    """
    container, _ = find(session, name)
    explain(session, "adopt", name=short(container))
    acted = take_over(session, container)
    session.answer({"container": acted.container})
