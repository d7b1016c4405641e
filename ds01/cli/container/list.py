"""container-list"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import datetime

import click

from ds01.api.listing import GetGpuQuota, ListContainers
from ds01.api.types import NEXT_ACTIONS, Deadline
from ds01.api.views import ContainerView
from ds01.cli.command.definition import command as verb
from ds01.cli.command.guide import explain
from ds01.cli.container.steps.adoptable import report_adoptable
from ds01.cli.session import Session
from ds01.cli.ui import tables
from ds01.cli.ui.formats import format_count, format_duration, format_gpus
from ds01.gpus.slot_names import display_name


@verb(example="container-list --all")
@click.option(
    "-a", "--all", "everything", is_flag=True, help="Also removed containers, and those that ds01 did not create."
)
@click.option("--all-users", is_flag=True, help="The containers of all users.")
def command(session: Session, everything: bool, all_users: bool) -> None:
    """List your containers: state, GPU, for how long, and what happens next automatically.

    A GPU in brackets is the one that a stopped container gets back when it starts, if it is free then. GPUs that an
    administrator allocated by hand, without a container, are listed too.
    """
    explain(session, "list")
    listing = session.run(ListContainers(session.owner.uid, all_users, everything, manual=True))
    views = listing.containers
    session.write_document({"containers": views})
    if session.as_json:
        return
    if not views:
        session.say("No containers. `container-deploy NAME` creates one.")
    else:
        _show(session, views, users=all_users or everything)
        session.say(summary(views, None if all_users else session.run(GetGpuQuota(session.owner.uid))))
    report_adoptable(session, listing, "of these" if everything else "more")


def _show(session: Session, views: Sequence[ContainerView], *, users: bool) -> None:
    now = session.now()
    projects = any(view.project not in (None, view.name) for view in views)
    optional_headings = [heading for heading, wanted in (("USER", users), ("PROJECT", projects)) if wanted]
    headings = ("NAME", *optional_headings, "STATE", "GPU", "FOR", "NEXT", "PORTS", "IMAGE")
    rows = [_row(view, now, users=users, projects=projects) for view in views]
    tables.print_table(headings, rows, cut="IMAGE", wrap=("STATE", "NEXT"), optional=("PROJECT", "PORTS"))
    for view in views:
        if view.is_manual and view.uid == session.owner.uid and view.gpus:
            session.say(describe_manual(view))
        if view.conflict:
            session.warn(f"{view.name}: {view.conflict}")


def summary(views: Sequence[ContainerView], quota: int | None) -> str:
    """Return the last line of a list: `2 containers, 1 running; 1 of 2 GPUs used`.

    `quota`: the owner's GPU quota; None: unlimited, or the containers have several owners.
    """
    recorded = [view for view in views if view.uid is not None and view.state != "removed"]
    containers = [view for view in recorded if not view.is_manual]
    running = sum(view.state == "running" for view in containers)
    parts = [format_count(len(containers), "container")]
    parts += [f"{running} running"] if containers else []
    for number, what in (
        (sum(view.state == "removed" for view in views), "removed"),
        (sum(view.uid is None for view in views), "not created by ds01"),
    ):
        parts += [f"{number} {what}"] if number else []
    used = sum(len(view.gpus) for view in recorded)
    gpus = format_count(used, "GPU") if quota is None else f"{used} of {format_count(quota, 'GPU')}"
    return f"{', '.join(parts)}; {gpus} used"


def describe_manual(view: ContainerView) -> str:
    """Describe a manual lease in one line, with the command that ends it."""
    release = f"`ds01 gpu release --container {shlex.quote(view.name)}`"
    return f"{view.name}: GPU {format_gpus(view.gpus)}, allocated by hand; {release} gives it back"


def _row(view: ContainerView, now: datetime, *, users: bool, projects: bool) -> tuple[str, ...]:
    state = "paused" if view.paused else view.state
    if view.is_manual and view.state != "removed":
        state = "by hand" if view.state == "running" else f"by hand, {view.state}"
    if view.idle_since is not None:
        state += f", idle {format_duration(now - view.idle_since)}"
    if view.ended is not None and view.state in ("held", "stopped", "removed"):
        state = describe_end(view.state, view.ended.why)
    since = view.started_at if view.state == "running" else view.stopped_at or view.created_at
    gpus = ",".join(map(display_name, view.gpus))
    if not gpus and view.gpus_fixed and view.state == "stopped":
        gpus = f"({','.join(map(display_name, view.gpus_fixed))})"
    return (
        view.name,
        *((view.user or "–",) if users else ()),
        *((view.project or "–",) if projects else ()),
        state,
        gpus or "–",
        format_duration(now - since) if since else "–",
        describe_next_action(view, now),
        ",".join(f"{port.host_port}→{port.container_port}" for port in view.ports if port.host_port) or "–",
        "–" if view.is_manual else view.image or "–",
    )


def describe_end(state: str, why: str) -> str:
    """Return the state of a container that has ended, with the reason: `held, idle stop`, `stopped by alice`."""
    return why if state != "held" and why.startswith(state) else f"{state}, {why}"


def describe_next_action(view: ContainerView, now: datetime) -> str:
    """Return what happens next automatically, and when."""
    if view.deadline is None:
        return "kept by .keep-alive" if view.kept_alive else "–"
    return describe_deadline(view.deadline, now)


def describe_deadline(deadline: Deadline, now: datetime) -> str:
    """Return what happens at a deadline, and when: `idle stop in 2d`."""
    what = NEXT_ACTIONS.get(deadline.because, deadline.because)
    return f"{what} in {format_duration(deadline.at - now)}" if deadline.at > now else f"{what} is due"
