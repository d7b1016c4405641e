"""mlc-update-sys"""

from __future__ import annotations

import click

from ds01.cli.mlc.line import AimeLine
from ds01.cli.options import command as verb
from ds01.cli.output import put
from ds01.cli.session import Session

TEXT = """\
ds01 is a package of the system, and an administrator updates it as one:
  sudo apt-get update && sudo apt-get install ds01
New frameworks and versions come with it; `mlc-create --info` lists them."""


@verb(example="mlc-update-sys", json=False, guided=False, user=False, kind=AimeLine)
@click.option("-f", "--force", is_flag=True, help="Changes nothing here.")
def command(session: Session, force: bool) -> None:
    """Say how ds01 is updated: nothing is fetched."""
    put(TEXT)
