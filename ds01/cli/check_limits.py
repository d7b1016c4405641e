"""check-limits"""

from __future__ import annotations

import shlex

from ds01.api.containers import ListContainers
from ds01.api.server import GetGpuStatus, GetLimits
from ds01.cli import tables
from ds01.cli.container.list import describe_manual, next_of
from ds01.cli.options import command as verb
from ds01.cli.session import Session


@verb(example="check-limits", guided=False)
def command(session: Session) -> None:
    """Show what you use of your quotas, what is left, and what will happen to your containers by itself."""
    owner = session.owner
    listed = session.run(ListContainers(owner.uid, manual=True)).containers
    manual = [view for view in listed if view.is_manual]
    views = [view for view in listed if not view.is_manual]
    limits = session.run(GetLimits(owner=owner.uid)).limits
    slots = [slot for slot in session.run(GetGpuStatus()).slots if slot.user == owner.login]
    quotas = {
        "gpus": _quota(sum(slot.state in ("leased", "held") for slot in slots), limits.limits.max_mig_instances),
        "containers": _quota(len(views), limits.limits.max_containers_per_user),
    }
    deadlines = [{"name": view.name, "deadline": view.deadline} for view in views if view.deadline is not None]
    by_hand = [{"name": view.name, "origin": view.origin, "gpus": view.gpus} for view in manual]
    head = {"user": limits.user, "group": limits.group, "quotas": quotas}
    session.answer(head | {"deadlines": deadlines, "manual": by_hand})
    if session.as_json:
        return
    session.say(f"{limits.user}, group {limits.group}")
    rows = [
        (title, *("any number" if number is None else str(number) for number in quotas[key].values()))
        for key, title in (("gpus", "GPUs and MIG instances"), ("containers", "containers"))
    ]
    tables.show(("QUOTA", "USED", "LIMIT", "LEFT"), rows)
    for view in views:
        session.say(f"{view.name}: {next_of(view, session.now())}")
    for view in manual:
        session.say(describe_manual(view))
    whose = "" if session.owner.uid == session.actor.uid else f" {shlex.quote(limits.user)}"
    session.say(f"`ds01 limits{whose}` shows what each container gets.")


def _quota(used: int, limit: int | None) -> dict[str, int | None]:
    return {"used": used, "limit": limit, "left": None if limit is None else max(0, limit - used)}
