"""Update slices in the tick: Docker creates the slices of new users without limits, and the tick sets them."""

from __future__ import annotations

from collections.abc import Sequence

from ds01.automation.report import WAITS, ReportItem, TickReport
from ds01.errors import InvalidState
from ds01.host import slice_limits
from ds01.host.systemd import Systemd
from ds01.lifecycle.context.context import Context
from ds01.records.record import Record


def update_slices(
    context: Context, records: Sequence[Record], report: TickReport, *, systemd: Systemd | None = None
) -> None:
    """Apply the policy's limits to every slice; failures are in the report. Raises Ds01Error."""
    systemd = systemd or Systemd()
    driver = context.observer.engine_facts().cgroup_driver
    try:
        changes = slice_limits.plan_changes(
            context.rules.policy,
            records,
            context.users,
            context.clock(),
            driver=driver,
            systemd=systemd,
            memory=context.rules.owners.memory,
        )
    except InvalidState:
        return  # this machine cannot enforce such limits; doctor reports that, not every tick
    if not changes:
        return
    outcome = slice_limits.apply_changes(changes, systemd=systemd)
    emit_slice_changes(context, "tick", outcome)
    for change in outcome.waiting:
        report.unknown.append(ReportItem(change.unit, WAITS, "it uses more memory than the policy allows"))
    report.errors += [ReportItem(change.unit, "slice", why) for change, why in outcome.failed]


def emit_slice_changes(context: Context, actor: str, outcome: slice_limits.SliceOutcome) -> None:
    """Emit an event for each slice whose limits changed."""
    for change in outcome.changed:
        event = {"actor": actor, "container": None, "user": None, "slice": change.unit}
        context.emit("slice", event | {"why": slice_limits.describe_share(change.after)})
