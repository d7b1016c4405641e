"""The slices of users who came new: Docker makes them without limits, and the tick gives them theirs."""

from __future__ import annotations

from collections.abc import Sequence

from ds01.automation.report import WAITS, Item, Report
from ds01.errors import InvalidState
from ds01.host import apply
from ds01.host.systemd import Systemd
from ds01.lifecycle.context.context import Context
from ds01.records.record import Record


def bring_slices(
    context: Context, records: Sequence[Record], report: Report, *, systemd: Systemd | None = None
) -> None:
    """Give every slice the limits of the policy; what could not be done is in the report. Raises Ds01Error."""
    systemd = systemd or Systemd()
    driver = context.observer.engine_facts().cgroup_driver
    try:
        changes = apply.plan(
            context.rules.policy,
            records,
            context.users,
            context.clock(),
            driver=driver,
            systemd=systemd,
            memory=context.rules.owners.memory,
        )
    except InvalidState:
        return  # this machine cannot keep such limits: doctor says why, once, and not every few minutes
    if not changes:
        return
    outcome = apply.apply(changes, systemd=systemd)
    tell_changes(context, "tick", outcome)
    for change in outcome.waiting:
        report.unknown.append(Item(change.unit, WAITS, "it uses more memory than its slice may have"))
    report.errors += [Item(change.unit, "slice", why) for change, why in outcome.failed]


def tell_changes(context: Context, actor: str, outcome: apply.Outcome) -> None:
    """An event for each slice that has other limits now."""
    for change in outcome.changed:
        facts = {"actor": actor, "container": None, "user": None, "slice": change.unit}
        context.emit("slice", facts | {"why": apply.share_words(change.after)})
