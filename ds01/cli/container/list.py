"""container-list"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import click

from ds01.cli import tables
from ds01.cli.container.adopting import say_adoptable
from ds01.cli.guide import explain
from ds01.cli.options import command as verb
from ds01.cli.session import Session
from ds01.cli.words import span
from ds01.gpus.naming import called
from ds01.lifecycle.views import ContainerView

# What happens by itself, by the word for the deadline's rule.
NEXT = {
    "hold": "hold ends",
    "idle": "idle stop",
    "runtime": "stop",
    "removal": "removal",
    "created": "release",
    "conflict": "stop",
}


@verb(example="container-list --all")
@click.option("-a", "--all", "everything", is_flag=True, help="Also removed ones, and those that ds01 did not make.")
@click.option("--all-users", is_flag=True, help="Everybody's.")
def command(session: Session, everything: bool, all_users: bool) -> None:
    """List your containers: state, GPU, for how long, and what happens next by itself.

    A GPU in brackets is the one that a stopped container would get again at its start, if it is free then.
    """
    explain(session, "list")
    asking = session.asking
    listing = asking.listing(session.actor, owner=session.owner.uid, all_users=all_users, everything=everything)
    views = listing.containers
    session.answer({"containers": views})
    if session.as_json:
        return
    if not views:
        session.say("No containers. `container-deploy NAME` makes one.")
    else:
        _show(session, views, users=all_users or everything)
    say_adoptable(session, listing, "of these" if everything else "more")


def _show(session: Session, views: Sequence[ContainerView], *, users: bool) -> None:
    at = session.now()
    headings = ("NAME", *(("USER",) if users else ()), "STATE", "GPU", "FOR", "NEXT", "PORTS", "IMAGE")
    tables.show(headings, [_row(view, at, users=users) for view in views], cut="IMAGE")
    for view in views:
        if view.conflict:
            session.warn(f"{view.name}: {view.conflict}")


def _row(view: ContainerView, at: datetime, *, users: bool) -> tuple[str, ...]:
    state = "paused" if view.paused else view.state
    if view.idle_since is not None:
        state += f", idle {span(at - view.idle_since)}"
    if view.ended is not None and view.state in ("held", "stopped"):
        state += f", {view.ended.why}"
    since = view.started_at if view.state == "running" else view.stopped_at or view.created_at
    gpus = ",".join(map(called, view.gpus))
    if not gpus and view.gpus_fixed and view.state == "stopped":
        gpus = f"({','.join(map(called, view.gpus_fixed))})"
    return (
        view.name,
        *((view.user or "–",) if users else ()),
        state,
        gpus or "–",
        span(at - since) if since else "–",
        next_of(view, at),
        ",".join(f"{port.host_port}→{port.container_port}" for port in view.ports if port.host_port) or "–",
        view.image,
    )


def next_of(view: ContainerView, at: datetime) -> str:
    """What happens next by itself, and when."""
    if view.deadline is None:
        return "kept by .keep-alive" if view.kept_alive else "–"
    what = NEXT.get(view.deadline.because, view.deadline.because)
    return f"{what} in {span(view.deadline.at - at)}" if view.deadline.at > at else f"{what} is due"
