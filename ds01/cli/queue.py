"""ds01 queue"""

from __future__ import annotations

import click

from ds01.api.answers import QueueRow
from ds01.api.server import CancelWait, ListQueue
from ds01.cli.command.definition import command as verb
from ds01.cli.session import Session
from ds01.cli.ui import tables
from ds01.cli.ui.formats import format_duration, format_local_time
from ds01.errors import UsageError

# What a waiter waits for, by the rule that keeps it waiting.
WAITS_FOR = {
    "none_free": "a free GPU",
    "max_mig_instances": "own quota",
    "suspended": "its process to continue",
    None: "its turn",
}


@verb(example="ds01 queue", guided=False, user=False)
@click.argument("arguments", nargs=-1, metavar="[cancel ID]")
def command(session: Session, arguments: tuple[str, ...]) -> None:
    """Show who waits for a GPU, in order; `ds01 queue cancel ID` removes a waiter from the queue."""
    if arguments:
        if arguments == ("cancel",):
            raise UsageError("which ID?", hint="`ds01 queue cancel ID`; `ds01 queue` shows the IDs")
        if len(arguments) != 2 or arguments[0] != "cancel":
            raise UsageError(f"unknown arguments {' '.join(arguments)!r}", hint="`ds01 queue cancel ID`")
        session.run(CancelWait(arguments[1]))
        session.say(f"{arguments[1]} no longer waits.")
    rows = session.run(ListQueue())
    session.write_document({"waiting": rows})
    if session.as_json:
        return
    if rows:
        headings = ("#", "ID", "USER", "NAME", "GPUS", "PRIORITY", "WAITS", "FOR")
        tables.print_table(headings, [_row(session, row) for row in rows])
    else:
        session.say("Nobody is waiting.")


def _row(session: Session, row: QueueRow) -> tuple[str, ...]:
    gpus = row.gpus
    wanted_gpus = " ".join(part for part in (str(gpus.count or 1), gpus.profile or gpus.type.value) if part != "any")
    waits = format_duration(session.now() - row.since)
    why = WAITS_FOR.get(row.why, row.why or "")
    if row.earliest is not None:
        why += f", perhaps at {format_local_time(row.earliest, session.now())}"
    return (str(row.position), row.id, row.user, row.name, wanted_gpus, str(row.priority), waits, why)
