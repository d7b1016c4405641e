"""Derive the events of a commit from the transitions that it adds to a record. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from ds01.records.record import HistoryEntry, Record

TRANSITION = "transition"
_ANY_TIME = datetime(1970, 1, 1, tzinfo=timezone.utc)


def transition_events(before: Record | None, after: Record) -> list[Mapping[str, Any]]:
    """Return an event for each transition that was added to the history of `before`, the record that is replaced."""
    previous = before.history if before is not None and before.id == after.id else ()
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
        for step in added_steps(previous, after.history)
    ]


def added_steps(previous: tuple[HistoryEntry, ...], history: tuple[HistoryEntry, ...]) -> tuple[HistoryEntry, ...]:
    """Return the entries at the end of `history` that were added to `previous`.

    By position: two entries can be equal, since a clock that was set back repeats times. A history loses its oldest
    entries, and a corrected clock changes the times of all, so times count only if the entries agree with them.
    """
    for ignore_times in (False, True):
        old, new = _comparable(previous, ignore_times), _comparable(history, ignore_times)
        for count in range(len(new)):
            kept = new[: len(new) - count]
            if len(kept) <= len(old) and kept == old[len(old) - len(kept) :]:
                return history[len(kept) :]
    return history


def _comparable(history: tuple[HistoryEntry, ...], ignore_times: bool) -> list[HistoryEntry]:
    return [replace(step, at=_ANY_TIME) if ignore_times else step for step in history]
