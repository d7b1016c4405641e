"""mlc-upgrade-sys"""

from __future__ import annotations

import click

from ds01.cli.command.definition import command as verb
from ds01.cli.mlc.command_line import AimeCommand
from ds01.cli.mlc.update_sys import TEXT
from ds01.cli.session import Session
from ds01.cli.ui.output import print_text


@verb(example="mlc-upgrade-sys", json=False, guided=False, user=False, kind=AimeCommand)
@click.option("-f", "--force", is_flag=True, help="Changes nothing here.")
def command(session: Session, force: bool) -> None:
    """Say how ds01 is updated. Containers of AIME's v1 and v2 work with it as they are."""
    print_text(TEXT)
