"""The slices of users who came new: Docker makes them without limits, and the tick gives them theirs."""

from __future__ import annotations

from collections.abc import Sequence

from ds01.automation.report import WAITS, Item, Report
from ds01.errors import NotPossible
from ds01.host import apply
from ds01.host.systemd import Systemd
from ds01.lifecycle.snapshot.world import World
from ds01.records.record import Record


def bring_slices(world: World, records: Sequence[Record], report: Report, *, systemd: Systemd | None = None) -> None:
    """Give every slice the limits of the policy; what could not be done is in the report. Raises Ds01Error."""
    systemd = systemd or Systemd()
    driver = world.engine_facts().cgroup_driver
    try:
        changes = apply.plan(
            world.policy,
            records,
            world.users,
            world.clock(),
            driver=driver,
            systemd=systemd,
            memory=world.owners.memory,
        )
    except NotPossible:
        return  # this machine cannot keep such limits: doctor says why, once, and not every few minutes
    if not changes:
        return
    outcome = apply.apply(changes, systemd=systemd)
    tell_changes(world, "tick", outcome)
    for change in outcome.waiting:
        report.unknown.append(Item(change.unit, WAITS, "it uses more memory than its slice may have"))
    report.errors += [Item(change.unit, "slice", why) for change, why in outcome.failed]


def tell_changes(world: World, actor: str, outcome: apply.Outcome) -> None:
    """An event for each slice that has other limits now."""
    for change in outcome.changed:
        facts = {"actor": actor, "container": None, "user": None, "slice": change.unit}
        world.emit("slice", facts | {"why": apply.share_words(change.after)})
