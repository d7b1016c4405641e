"""ds01 status --hosts: several servers in one table."""

from __future__ import annotations

from datetime import datetime

from ds01.cli.session import Session
from ds01.cli.ui import tables
from ds01.cli.ui.formats import format_duration, format_local_time
from ds01.cli.ui.output import clear_screen
from ds01.host.other_servers import OtherStatus, SupplyThere, ask_all, read_other_servers

UNKNOWN = "?"


def show_hosts(session: Session, *, clear: bool) -> None:
    """Ask the servers of the caller's list, and show a row for each; one that does not answer says why.

    `clear`: the screen is cleared first, once the answers are there.
    """
    servers = ask_all(read_other_servers(session.owner.home))
    session.write_document({"hosts": servers})
    if session.as_json:
        return
    if clear:
        clear_screen()
    headings = ("HOST", "FREE", "NEXT FREE", "RUNNING", "QUEUE", "LOAD", "LAST TICK", "ATTENTION")
    tables.print_table(headings, [_row(server, session.now()) for server in servers])


def _row(server: OtherStatus, now: datetime) -> tuple[str, ...]:
    if server.problem is not None:
        return (server.name, f"no answer: {server.problem}", *[UNKNOWN] * 6)
    load = UNKNOWN if server.load is None else f"{server.load:.1f}/{server.cpus or UNKNOWN}"
    tick = "never" if server.last_tick_at is None else f"{format_duration(now - server.last_tick_at)} ago"
    nothing = "–" if server.complaints == 0 else UNKNOWN
    return (
        server.name,
        ", ".join(_supply(item) for item in server.supply) or "no GPU",
        _next_free(server, now),
        _count(server.containers),
        _count(server.waiting),
        load,
        tick,
        str(server.complaints) if server.complaints else nothing,
    )


def _supply(item: SupplyThere) -> str:
    return f"{item.free} of {item.total} {item.kind}"


def _next_free(server: OtherStatus, now: datetime) -> str:
    if any(item.free for item in server.supply):
        return "now"
    earliest = min((item.earliest for item in server.supply if item.earliest is not None), default=None)
    return "–" if earliest is None else format_local_time(earliest, now)


def _count(number: int | None) -> str:
    return UNKNOWN if number is None else str(number)
