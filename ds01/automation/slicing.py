"""The slices of users who came new: Docker makes them without limits, and the tick gives them theirs."""

from __future__ import annotations

from collections.abc import Sequence

from ds01.automation.report import Item
from ds01.errors import NotPossible
from ds01.host import apply
from ds01.host.systemd import Systemd
from ds01.lifecycle.record import Record
from ds01.lifecycle.world import World


def bring_slices(world: World, records: Sequence[Record], *, systemd: Systemd | None = None) -> list[Item]:
    """Give every slice the limits of the policy; what could not be done, for the report. Raises Ds01Error."""
    systemd = systemd or Systemd()
    driver = world.engine_facts().cgroup_driver
    try:
        changes = apply.plan(world.policy, records, world.users, world.clock(), driver=driver, systemd=systemd)
    except NotPossible:
        return []  # this machine cannot keep such limits: doctor says why, once, and not every few minutes
    if not changes:
        return []
    outcome = apply.apply(changes, systemd=systemd)
    for change in outcome.changed:
        world.emit("slice", {"actor": "tick", "slice": change.unit, "why": apply.share_words(change.after)})
    waiting = [Item(change.unit, "slice", "it uses more memory than it may have") for change in outcome.waiting]
    return waiting + [Item(change.unit, "slice", why) for change, why in outcome.failed]
