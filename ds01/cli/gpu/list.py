"""ds01 gpu list"""

from __future__ import annotations

import click

from ds01.api.server import GetGpuStatus
from ds01.cli.command.definition import command as verb
from ds01.cli.gpu.status import slot_document
from ds01.cli.session import Session
from ds01.cli.ui import tables
from ds01.gpus.slot_names import display_name


@verb(example="ds01 gpu list --free --json", guided=False, user=False)
@click.option("--free", is_flag=True, help="List only free slots.")
def command(session: Session, free: bool) -> None:
    """List the slots with their UUIDs, for scripts."""
    status = session.run(GetGpuStatus())
    rows = [row for row in status.slots if row.state == "free" or not free]
    session.write_document({"slots": [slot_document(row) for row in rows], "driver": status.driver})
    if not session.as_json:
        tables.print_table(("SLOT", "STATE", "UUID"), [(display_name(row), row.state, row.uuid) for row in rows])
