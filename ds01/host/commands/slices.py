"""Run `ds01 slices apply`."""

from __future__ import annotations

from ds01.dataclass import dataclass
from ds01.gate.installation import Installation
from ds01.host.slice_limits import apply_changes, plan_changes
from ds01.host.slice_updates import emit_slice_changes
from ds01.host.slices import SliceChange
from ds01.records.entries import readable
from ds01.system.users import Actor


@dataclass(frozen=True)
class SliceRun:
    """The slices that changed or would change, and the failures with their reasons."""

    changed: tuple[SliceChange, ...] = ()
    would_change: tuple[SliceChange, ...] = ()
    failed: tuple[tuple[SliceChange, str], ...] = ()


def apply_slices(installation: Installation, actor: Actor, *, dry_run: bool) -> SliceRun:
    """Apply the policy's limits to every slice. Raises Ds01Error."""
    context = installation.context
    driver = context.engine.info().cgroup_driver
    records, memory = readable(context.ledger.read()), context.ledger.tick_memory()
    policy, users, now = context.rules.policy, context.users, context.clock()
    changes = plan_changes(policy, records, users, now, driver=driver, memory=memory)
    if dry_run or not changes:
        return SliceRun(would_change=tuple(changes))
    outcome = apply_changes(changes, respect_usage=False)
    emit_slice_changes(context, actor.login, outcome)
    return SliceRun(changed=tuple(outcome.changed), failed=tuple(outcome.failed))
