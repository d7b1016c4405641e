"""mlc-upgrade-sys"""

from __future__ import annotations

import click

from ds01.cli.command.definition import command as verb
from ds01.cli.mlc.command_line import AimeCommand
from ds01.cli.mlc.update_sys import TEXT
from ds01.cli.session import Session
from ds01.cli.ui.output import print_text


@verb(example="mlc-upgrade-sys", json=False, guided=False, user=False, kind=AimeCommand)
@click.option("-f", "--force", is_flag=True, help="No effect.")
def command(session: Session, force: bool) -> None:
    """Explain how to update ds01. Containers of AIME's v1 and v2 work with it unchanged."""
    print_text(TEXT)
