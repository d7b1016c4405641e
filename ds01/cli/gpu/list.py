"""ds01 gpu list"""

from __future__ import annotations

import click

from ds01.api.server import GetGpuStatus
from ds01.cli import tables
from ds01.cli.gpu.status import documented
from ds01.cli.options import command as verb
from ds01.cli.session import Session
from ds01.gpus.slot_names import display_name


@verb(example="ds01 gpu list --free --json", guided=False, user=False)
@click.option("--free", is_flag=True, help="Only those that nobody has.")
def command(session: Session, free: bool) -> None:
    """List the slots with their UUIDs, for scripts."""
    status = session.run(GetGpuStatus())
    rows = [row for row in status.slots if row.state == "free" or not free]
    session.answer({"slots": [documented(row) for row in rows], "driver": status.driver})
    if not session.as_json:
        tables.show(("SLOT", "STATE", "UUID"), [(display_name(row), row.state, row.uuid) for row in rows])
