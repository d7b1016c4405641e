"""ds01 events"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from ds01.api.seeing.events import EventStep, EventView, FollowEvents, ListEvents
from ds01.cli.command.definition import BoundedInteger, option_group
from ds01.cli.command.definition import command as verb
from ds01.cli.command.period import OPTIONS, PeriodOptions
from ds01.cli.session import Session
from ds01.cli.ui.follow import follow as follow_steps
from ds01.cli.ui.formats import format_event_time, format_holder
from ds01.cli.ui.output import print_json, print_line
from ds01.errors import UsageError
from ds01.system.data import to_json

DEFAULT_LIMIT = 50  # events without a period


@verb(example="ds01 events --last 2d --type stop", guided=False)
@option_group(PeriodOptions, OPTIONS)
@click.option("--container", metavar="NAME", help="Only of this container, also a removed one.")
@click.option(
    "--type", "types", multiple=True, metavar="TYPE", help="Only of this type: start, stop, warning, refusal, …"
)
@click.option("--limit", type=BoundedInteger(1), metavar="N", help="The last N. Default: 50, or the whole period.")
@click.option("-f", "--follow", is_flag=True, help="Go on with new events until Ctrl-C (exit code 130).")
@click.option("--all-users", is_flag=True, help="The events of all users (administrators).")
def command(
    session: Session,
    period: PeriodOptions,
    container: str | None,
    types: tuple[str, ...],
    limit: int | None,
    follow: bool,
    all_users: bool,
) -> int:
    """Show what happened, oldest first: starts, stops, warnings, refusals and more.

    You see the events of your containers, and what you did. Administrators see all events; with --user those of one
    user.
    """
    if all_users and session.user is not None:
        raise UsageError("--all-users cannot be combined with --user")
    if follow and period.until is not None:
        raise UsageError("--follow cannot be combined with --until", why="it shows what happens from now on")
    since, until = period.resolve(session.now())
    filters: dict[str, Any] = {
        "owner": None if session.user is None else session.owner.uid,
        "all_users": all_users,
        "container": container,
        "types": types,
        "since": since,
        "until": until,
        "limit": DEFAULT_LIMIT if limit is None and since is None and until is None else limit,
    }
    if follow:
        return follow_steps(session.stream(FollowEvents(**filters)), lambda step: _show_step(session, step))
    events = session.run(ListEvents(**filters))
    session.write_document({"events": [event_document(event) for event in events]})
    if session.as_json:
        return 0
    now = session.now()
    for event in events:
        print_line(format_event(event, now))
    if not events:
        session.say("No events.")
    return 0


def _show_step(session: Session, step: EventStep) -> None:
    now = session.now()
    for event in step.events:
        if session.as_json:
            print_json(to_json(event_document(event)))
        else:
            print_line(format_event(event, now))


def event_document(event: EventView) -> dict[str, Any]:
    """Return the event as it is in events.jsonl."""
    common = {key: getattr(event, key) for key in ("time", "type", "actor", "container", "user", "why")}
    return {**common, **event.more}


def format_event(event: EventView, now: datetime) -> str:
    """Return an event in one line: time, owner and container, and what happened."""
    who = format_holder(event.user, event.container)
    subject = "" if who == "–" else f"{who}: "
    return f"{format_event_time(event.time, now)}  {subject}{event.text}"
