"""container-cleanup"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial

import click

from ds01.api.containers import GetSizes, ListContainers, RemoveContainer
from ds01.api.views import ContainerView, Sized
from ds01.cli import ask, tables
from ds01.cli.container.ending import follow
from ds01.cli.container.remove import STOPPED
from ds01.cli.guide import explain
from ds01.cli.options import command as verb
from ds01.cli.session import Session
from ds01.cli.words import gpu_names, short, size, span
from ds01.errors import WrongUse


@verb(example="container-cleanup --all", asks=True)
@click.option("-a", "--all", "every", is_flag=True, help="Remove all of them.")
@click.option("--dry-run", is_flag=True, help="Show them, and change nothing.")
def command(session: Session, every: bool, dry_run: bool) -> None:
    """List your stopped containers with their sizes, and remove those that you choose, after a last question."""
    explain(session, "cleanup")
    views = session.run(ListContainers(owner=session.owner.uid)).containers
    found = session.run(GetSizes(tuple(view.container for view in views if view.state in STOPPED)))
    if not found:
        session.say("No container of yours is stopped.")
        return session.answer({"containers": []})
    if not (session.quiet or session.as_json):
        rows = [_row(number, item, session.now()) for number, item in enumerate(found, 1)]
        tables.show(("NO", "NAME", "STATE", "SIZE", "GPU", "FOR"), rows)
    if dry_run:
        return session.answer({"containers": [item.container for item in found]})
    if not every and not session.interactive:
        raise WrongUse("which of them?", hint="`--all` removes them, `--dry-run` only shows them")
    chosen = found if every else [found[index] for index in ask.choose_several(len(found))]
    if chosen and session.interactive and not ask.confirm(_question(chosen), default=False):
        session.say("Nothing was removed.")
        return session.answer({"containers": []})
    removed = session.each([item.container.container for item in chosen], partial(_remove, session))
    freed = sum(item.bytes or 0 for item in chosen)
    session.say(f"Removed {len(removed)}, {size(freed)} of disk." if removed else "Removed none.")
    return session.answer({"containers": removed})


def _question(chosen: Sequence[Sized]) -> str:
    names = ", ".join(f"{item.container.name} ({size(item.bytes)})" for item in chosen)
    stays = "its workspace stays" if len(chosen) == 1 else "their workspaces stay"
    return f"Remove {names}? What was installed inside is lost, {stays}"


def _remove(session: Session, container: str) -> ContainerView:
    steps = session.stream(RemoveContainer(container))
    acted = follow(session, container, steps, again=f"container-remove {short(container)}", removes=True)
    for warning in acted.warnings:
        session.warn(warning)
    return acted.container


def _row(number: int, item: Sized, now: datetime) -> tuple[str, ...]:
    view = item.container
    since = view.stopped_at or view.created_at
    gpus = gpu_names(view.gpus) or "–"
    return (str(number), view.name, view.state, size(item.bytes), gpus, span(now - since) if since else "–")
