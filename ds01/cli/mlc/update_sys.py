"""mlc-update-sys"""

from __future__ import annotations

import click

from ds01.cli.command.definition import command as verb
from ds01.cli.mlc.command_line import AimeCommand
from ds01.cli.session import Session
from ds01.cli.ui.output import print_text

TEXT = """\
ds01 is a system package. An administrator updates it:
  sudo apt-get update && sudo apt-get install ds01
New frameworks and versions come with it; `mlc-create --info` lists them."""


@verb(example="mlc-update-sys", json=False, guided=False, user=False, kind=AimeCommand)
@click.option("-f", "--force", is_flag=True, help="No effect.")
def command(session: Session, force: bool) -> None:
    """Explain how to update ds01. Fetches nothing."""
    print_text(TEXT)
