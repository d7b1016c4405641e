"""check-limits"""

from __future__ import annotations

import shlex

from ds01.api.listing import ListContainers
from ds01.api.server import GetGpuStatus, GetLimits
from ds01.cli.command.definition import command as verb
from ds01.cli.container.list import describe_manual, describe_next_action
from ds01.cli.session import Session
from ds01.cli.ui import tables


@verb(example="check-limits", guided=False)
def command(session: Session) -> None:
    """Show your quotas: used, limit and left; and what will happen to your containers automatically."""
    owner = session.owner
    containers = session.run(ListContainers(owner.uid, manual=True)).containers
    manual = [view for view in containers if view.is_manual]
    views = [view for view in containers if not view.is_manual]
    limits = session.run(GetLimits(owner=owner.uid)).limits
    slots = [slot for slot in session.run(GetGpuStatus()).slots if slot.user == owner.login]
    quotas = {
        "gpus": _quota(sum(slot.state in ("leased", "held") for slot in slots), limits.limits.max_mig_instances),
        "containers": _quota(len(views), limits.limits.max_containers_per_user),
    }
    deadlines = [{"name": view.name, "deadline": view.deadline} for view in views if view.deadline is not None]
    manual_leases = [{"name": view.name, "origin": view.origin, "gpus": view.gpus} for view in manual]
    document = {"user": limits.user, "group": limits.group, "quotas": quotas}
    session.write_document(document | {"deadlines": deadlines, "manual": manual_leases})
    if session.as_json:
        return
    session.say(f"{limits.user}, group {limits.group}")
    rows = [
        (title, *("unlimited" if number is None else str(number) for number in quotas[key].values()))
        for key, title in (("gpus", "GPUs and MIG instances"), ("containers", "containers"))
    ]
    tables.print_table(("QUOTA", "USED", "LIMIT", "LEFT"), rows)
    for view in views:
        session.say(f"{view.name}: {describe_next_action(view, session.now())}")
    for view in manual:
        session.say(describe_manual(view))
    login_argument = "" if session.owner.uid == session.actor.uid else f" {shlex.quote(limits.user)}"
    session.say(f"`ds01 limits{login_argument}` shows what each container gets.")


def _quota(used: int, limit: int | None) -> dict[str, int | None]:
    return {"used": used, "limit": limit, "left": None if limit is None else max(0, limit - used)}
