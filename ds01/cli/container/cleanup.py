"""container-cleanup"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial

import click

from ds01.api.answers import Sized
from ds01.api.containers import RemoveContainer
from ds01.api.listing import ListContainers
from ds01.api.measures import GetSizes
from ds01.api.views import ContainerView
from ds01.cli.command.definition import command as verb
from ds01.cli.command.guide import explain
from ds01.cli.container.remove import STOPPED
from ds01.cli.container.steps.stop_progress import follow_stop
from ds01.cli.session import Session
from ds01.cli.ui import prompts, tables
from ds01.cli.ui.formats import format_count, format_duration, format_gpus, format_size, short_name
from ds01.errors import UsageError


@verb(example="container-cleanup --all", asks=True)
@click.option("-a", "--all", "every", is_flag=True, help="Remove all of your stopped containers.")
@click.option("--dry-run", is_flag=True, help="Show what would be removed, and change nothing.")
def command(session: Session, every: bool, dry_run: bool) -> None:
    """List your stopped containers with their sizes, and remove the ones you choose, after asking again."""
    explain(session, "cleanup")
    views = session.run(ListContainers(owner=session.owner.uid)).containers
    stopped = session.run(GetSizes(tuple(view.container for view in views if view.state in STOPPED)))
    if not stopped:
        session.say("You have no stopped containers.")
        return session.write_document({"containers": []})
    if not (session.quiet or session.as_json):
        rows = [_row(number, item, session.now()) for number, item in enumerate(stopped, 1)]
        tables.print_table(("NO", "NAME", "STATE", "SIZE", "GPU", "FOR"), rows)
    if dry_run:
        return session.write_document({"containers": [item.container for item in stopped]})
    if not every and not session.interactive:
        raise UsageError("which containers?", hint="`--all` removes all of them, `--dry-run` only shows them")
    chosen = stopped if every else [stopped[index] for index in prompts.choose_several(len(stopped))]
    if chosen and session.interactive and not prompts.confirm(_confirmation_text(chosen), default=False):
        session.say("Nothing was removed.")
        return session.write_document({"containers": []})
    removed = session.for_each([item.container.container for item in chosen], partial(_remove, session))
    freed = sum(item.bytes or 0 for item in chosen)
    counted = f"{format_count(len(removed), 'container')} ({format_size(freed)})"
    session.say(f"Removed {counted}." if removed else "Nothing was removed.")
    return session.write_document({"containers": removed})


def _confirmation_text(chosen: Sequence[Sized]) -> str:
    names = ", ".join(f"{item.container.name} ({format_size(item.bytes)})" for item in chosen)
    workspace_text = "its workspace stays" if len(chosen) == 1 else "their workspaces stay"
    return f"Remove {names}? What was installed inside is lost, {workspace_text}"


def _remove(session: Session, container: str) -> ContainerView:
    steps = session.stream(RemoveContainer(container))
    acted = follow_stop(
        session, container, steps, retry_command=f"container-remove {short_name(container)}", removes=True
    )
    for warning in acted.warnings:
        session.warn(warning)
    return acted.container


def _row(number: int, item: Sized, now: datetime) -> tuple[str, ...]:
    view = item.container
    since = view.stopped_at or view.created_at
    gpus = format_gpus(view.gpus) or "–"
    return (
        str(number),
        view.name,
        view.state,
        format_size(item.bytes),
        gpus,
        format_duration(now - since) if since else "–",
    )
