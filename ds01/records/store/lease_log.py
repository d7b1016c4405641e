"""Derive the lines of gpu-allocations.log from what a commit does to leases. Pure."""

from __future__ import annotations

from ds01.journal.lease_log import LeaseLogEntry
from ds01.records.record import Record
from ds01.records.state_machine import State


def lease_log_lines(before: Record | None, after: Record) -> list[LeaseLogEntry]:
    """Return a line for each slot that was assigned, held, resumed or released."""
    slots_before = before.slots if before is not None and before.id == after.id else ()
    slots_after = () if after.state is State.REMOVED else after.slots
    lines = [("RELEASED", slot) for slot in slots_before if slot not in slots_after]
    lines += [("ALLOCATED", slot) for slot in slots_after if slot not in slots_before]
    if before is not None and before.state is not after.state:
        word = {State.HELD: "HELD", State.RUNNING: "RESUMED"}.get(after.state)
        if word == "HELD" or (word == "RESUMED" and before.state is State.HELD):
            lines += [(word, slot) for slot in slots_after if slot in slots_before]
    why = _describe_reason(after)
    priority = after.resource_limits.priority
    return [LeaseLogEntry(word, slot, after.user, after.container_name, priority, why) for word, slot in lines]


def _describe_reason(record: Record) -> str:
    """Return the pending command, or else the last transition with its reason."""
    if record.pending is not None:
        return f"{record.pending.trigger.value} by {record.pending.actor}"
    if not record.history:
        return "-"
    step = record.history[-1]
    return f"{step.trigger.value} by {step.actor}" + (f": {step.why}" if step.why else "")
