"""ds01 queue"""

from __future__ import annotations

import click

from ds01.api.server import CancelWait, ListQueue
from ds01.api.views import QueueRow
from ds01.cli import tables
from ds01.cli.options import command as verb
from ds01.cli.session import Session
from ds01.cli.words import span
from ds01.errors import WrongUse


@verb(example="ds01 queue", guided=False, user=False)
@click.argument("what", nargs=-1, metavar="[cancel ID]")
def command(session: Session, what: tuple[str, ...]) -> None:
    """Show who waits for a GPU, in order; `ds01 queue cancel ID` takes a waiter out of the line."""
    if what:
        if what == ("cancel",):
            raise WrongUse("which ID?", hint="`ds01 queue cancel ID`; `ds01 queue` shows them")
        if len(what) != 2 or what[0] != "cancel":
            raise WrongUse(f"{' '.join(what)!r} is nothing to do with the line", hint="`ds01 queue cancel ID`")
        session.run(CancelWait(what[1]))
        session.say(f"{what[1]} waits no more.")
    rows = session.run(ListQueue())
    session.answer({"waiting": rows})
    if session.as_json:
        return
    if rows:
        headings = ("#", "ID", "USER", "NAME", "GPUS", "PRIORITY", "WAITS", "FOR")
        tables.show(headings, [_row(session, row) for row in rows])
    else:
        session.say("Nobody waits.")


def _row(session: Session, row: QueueRow) -> tuple[str, ...]:
    gpus = row.request.gpus
    wish = " ".join(part for part in (str(gpus.count or 1), gpus.profile or gpus.type.value) if part != "any")
    waits = span(session.now() - row.since)
    words = {
        "none_free": "a free GPU",
        "max_mig_instances": "own quota",
        "suspended": "its process to go on",
        None: "its turn",
    }
    why = words.get(row.why, row.why or "")
    return (str(row.position), row.id, row.user, row.name, wish, str(row.priority), waits, why)
