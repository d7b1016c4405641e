"""ds01 dashboard"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from ds01.api.seeing.events import ListEvents
from ds01.api.seeing.operations import GetRecentUse, GetServerView
from ds01.cli.command.definition import BoundedInteger
from ds01.cli.command.definition import command as verb
from ds01.cli.session import Session
from ds01.cli.ui.output import supports_colours, supports_escape_codes, terminal_width, write_raw
from ds01.cli.ui.refresh import DEFAULT_INTERVAL
from ds01.errors import UsageError

if TYPE_CHECKING:
    from ds01.cli.dashboard.state import State

MOST_EVENTS = 50  # of --once
VIEWS = ("gpus", "containers", "users", "queue", "events")


@verb(example="ds01 dashboard --once --view containers", guided=False, user=False, pending=False)
@click.option(
    "--view",
    type=click.Choice(VIEWS),
    default=VIEWS[0],
    metavar="VIEW",
    help="The view to begin with: gpus, containers, users, queue or events.",
)
@click.option("--once", is_flag=True, help="Print the view once, as text.")
@click.option(
    "--interval", type=BoundedInteger(1, 3600), metavar="S", help="Seconds between refreshes, at least. Default: 2."
)
def command(session: Session, view: str, once: bool, interval: int | None) -> int:
    """Watch the server live on the whole screen: GPUs and their owners, containers, users, the queue, events.

    Keys 1 to 5 choose the view, h shows all keys, q quits. It shows, and changes nothing.
    """
    from ds01.cli.dashboard.state import State, View

    if interval is not None and (once or session.as_json):
        raise UsageError(
            "--interval cannot be combined with --once or --json", why="they print once", hint="leave it out"
        )
    if session.as_json:
        session.write_document(vars(session.run(GetServerView())))
        return 0
    state = State(View(view))
    if once:
        _print(session, state)
        return 0
    if not session.has_terminal:
        raise UsageError(
            "the dashboard needs a terminal",
            why="stdin or stdout is a file or a pipe",
            hint="`ds01 dashboard --once` prints one screen; over SSH, `ssh -t` gives a terminal",
        )
    if not supports_escape_codes(sys.stdout):
        raise UsageError(
            "the dashboard needs a terminal that can move its cursor",
            why="the environment variable TERM says that this one cannot",
            hint="`ds01 status --watch` needs nothing of it",
        )
    from ds01.cli.dashboard.loop import show_dashboard

    return show_dashboard(session, state, float(interval or DEFAULT_INTERVAL))


def _print(session: Session, state: State) -> None:
    from ds01.cli.dashboard.history import History
    from ds01.cli.dashboard.render import render_all
    from ds01.cli.dashboard.sample import Sample
    from ds01.cli.dashboard.state import View

    events = session.run(ListEvents(limit=MOST_EVENTS)) if state.view is View.EVENTS else None
    history, recent = History(), session.run(GetRecentUse())
    history.prefill(recent)
    sample = Sample(session.now(), session.run(GetServerView()), events=events, history=history)
    screen = render_all(state, sample, terminal_width())
    write_raw(screen.coloured_text() if supports_colours(sys.stdout) else screen.text(), sys.stdout)
