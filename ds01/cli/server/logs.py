"""ds01 logs"""

from __future__ import annotations

import click

from ds01.api.seeing.events import FollowLog, ListLogs, LogStep, LogView, ReadLog
from ds01.cli.command.definition import BoundedInteger
from ds01.cli.command.definition import command as verb
from ds01.cli.session import Session
from ds01.cli.ui import tables
from ds01.cli.ui.follow import follow as follow_steps
from ds01.cli.ui.formats import format_duration, format_size
from ds01.cli.ui.output import print_json, print_text
from ds01.errors import UsageError

DEFAULT_LINES = 50
MAX_LINES = 1_000_000


@verb(example="ds01 logs allocations --lines 20", guided=False, user=False)
@click.argument("name", required=False, metavar="[tick|allocations|events]")
@click.option("-n", "--lines", type=BoundedInteger(0, MAX_LINES), metavar="N", help="The last N lines. Default: 50.")
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines until Ctrl-C (exit code 130).")
def command(session: Session, name: str | None, lines: int | None, follow: bool) -> int:
    """Show a log of ds01 as it is written; without a name, which logs there are (administrators).

    tick: what each pass of the automation did. allocations: each GPU leased, held and released. events: everything, as
    JSON; `ds01 events` says the same in words. Rotated files are read too.
    """
    if name is None:
        if follow or lines is not None:
            raise UsageError("which log?", hint="`ds01 logs tick`, `ds01 logs allocations` or `ds01 logs events`")
        _show_logs(session, session.run(ListLogs()))
        return 0
    count = DEFAULT_LINES if lines is None else lines
    if follow:
        return follow_steps(session.stream(FollowLog(name, count)), lambda step: _show_step(session, step))
    found = session.run(ReadLog(name, count))
    session.write_document({"log": name, "lines": found})
    if not session.as_json:
        for line in found:
            print_text(line)
        if not found:
            session.say("The log is empty.")
    return 0


def _show_step(session: Session, step: LogStep) -> None:
    for line in step.lines:
        if session.as_json:
            print_json({"line": line})
        else:
            print_text(line)


def _show_logs(session: Session, logs: tuple[LogView, ...]) -> None:
    session.write_document({"logs": logs})
    if not session.as_json:
        headings = ("LOG", "SIZE", "CHANGED", "OLDER FILES", "PATH")
        tables.print_table(headings, [_row(session, log) for log in logs])


def _row(session: Session, log: LogView) -> tuple[str, ...]:
    ago = "–" if log.changed_at is None else f"{format_duration(session.now() - log.changed_at)} ago"
    older = f"{log.rotated}, {format_size(log.rotated_bytes)}" if log.rotated else "–"
    return (log.name, "–" if log.changed_at is None else format_size(log.bytes), ago, older, log.path)
