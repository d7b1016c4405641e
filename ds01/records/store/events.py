"""Derive the events of a commit from the transitions that it adds to a record. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ds01.records.record import Record

TRANSITION = "transition"


def transition_events(before: Record | None, after: Record) -> list[Mapping[str, Any]]:
    """Return an event for each transition in `after`'s history that is not in `before`, the record it replaces."""
    previous = before.history if before is not None and before.id == after.id else ()
    if previous[-1:] == after.history[-1:]:
        return []
    return [
        {
            "actor": step.actor,
            "container": after.container_name,
            "user": after.user,
            "why": step.why,
            "trigger": step.trigger,
            "from": step.source,
            "to": step.to,
            "at": step.at,
            "gpus": [ref.slot for ref in after.gpus_fixed],
        }
        for step in after.history
        if step not in previous
    ]
