"""Derive the lease events of a commit: one for each slot that is allocated, held, resumed or released. Pure.

They are the source of the accounting, so together they give exactly the times in the records. `at` is the time of the
change in the record. Only where the record has no time for a change (slots that an interrupted replacement gives back)
it is the time of the commit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field
from datetime import datetime
from enum import Enum
from typing import Any

from ds01.dataclass import dataclass
from ds01.gpus.model import SlotRef
from ds01.records.record import HistoryEntry, Record
from ds01.records.state_machine import State
from ds01.records.store.events import added_steps

LEASE = "lease"
_WITHOUT_LEASE = (State.STOPPED, State.REMOVED)


class LeaseChange(str, Enum):
    """What happened to the lease of a slot."""

    ALLOCATED = "allocated"
    HELD = "held"  # the container stopped, and keeps the slot
    RESUMED = "resumed"
    RELEASED = "released"


def lease_events(before: Record | None, after: Record, now: datetime, *, is_news: bool = True) -> list[dict[str, Any]]:
    """Return the lease events of the commit that replaces `before` by `after`.

    `now`: the time of the commit. `is_news` false: the record was rebuilt. Then its whole history is told again, as far
    as it is known, and the slots that it had and no longer leases are released.
    """
    previous = before if before is not None and before.id == after.id else None
    leases = [record.lease for record in (after, previous) if record is not None and record.lease is not None]
    walk = _Walk(after, leases[0].since if leases else None, rebuilt=not is_news)
    if not is_news:
        _tell_rebuilt(walk, now)
        return walk.events
    steps = added_steps(previous.history if previous is not None else (), after.history)
    if previous is not None:
        walk.take_over(previous.lease.slots if previous.lease is not None else ())
        if _has_corrected_times(previous, after, steps):
            walk.corrects = True
            _tell_corrected(walk, previous, steps)
            walk.corrects = False
    _tell_steps(walk, steps, _time_of_other_slots(previous, after, now))
    return walk.events


def replacement_lease_events(new: Record, now: datetime) -> list[dict[str, Any]]:
    """Return the lease events of a replacement. Until now, the container that it replaces had the lease."""
    walk = _Walk(new, new.lease.since if new.lease is not None else None)
    walk.allocate(new.lease.slots if new.lease is not None else (), now, _why(new))
    return walk.events


@dataclass
class _Walk:
    """The slots leased so far, and the events about them."""

    record: Record
    since: datetime | None = None  # of the lease, or of the one that ended
    rebuilt: bool = False
    corrects: bool = False  # what follows replaces what was told before
    events: list[dict[str, Any]] = field(default_factory=list)
    _leased: dict[str, SlotRef] = field(default_factory=dict)

    def take_over(self, slots: Iterable[SlotRef]) -> None:
        """Start with slots that are leased already."""
        self._leased = {ref.uuid: ref for ref in slots}

    @property
    def leased(self) -> tuple[SlotRef, ...]:
        return tuple(self._leased.values())

    def allocate(self, slots: Iterable[SlotRef], at: datetime, why: tuple[str | None, str | None]) -> None:
        """Lease slots that are not leased yet."""
        for ref in slots:
            if ref.uuid not in self._leased:
                self._leased[ref.uuid] = ref
                self._tell(LeaseChange.ALLOCATED, ref, at, why)

    def restate(self, slots: Iterable[SlotRef], at: datetime, why: tuple[str | None, str | None]) -> None:
        """Say again since when slots are leased."""
        for ref in slots:
            self._tell(LeaseChange.ALLOCATED, ref, at, why)

    def change(self, change: LeaseChange, at: datetime, why: tuple[str | None, str | None]) -> None:
        """Hold or resume all leased slots."""
        for ref in self.leased:
            self._tell(change, ref, at, why)

    def release(self, slots: Iterable[SlotRef], at: datetime, why: tuple[str | None, str | None]) -> None:
        """Release slots, whether they are known to be leased or not."""
        for ref in slots:
            self._leased.pop(ref.uuid, None)
            self._tell(LeaseChange.RELEASED, ref, at, why)

    def _tell(self, change: LeaseChange, ref: SlotRef, at: datetime, why: tuple[str | None, str | None]) -> None:
        record = self.record
        self.events.append(
            {
                "actor": why[0],
                "container": record.container_name,
                "user": record.user,
                "why": why[1],
                "change": change,
                "slot": ref.slot,
                "uuid": ref.uuid,
                "gpu_uuid": ref.gpu_uuid,
                "kind": ref.kind,
                "profile": ref.profile,
                "id": record.id,
                "since": self.since,
                "at": at,
                "uid": record.uid,
                "group": record.group,
                "project": record.project,
                "image": record.image,
                "rebuilt": self.rebuilt,
                "corrected": self.corrects,
            }
        )


def _tell_steps(walk: _Walk, steps: tuple[HistoryEntry, ...], at: datetime) -> None:
    """Tell the steps, with the allocation of the final lease after the last release, and other changes of its slots.

    A container can be stopped, and started again outside ds01, within one commit: then its slots are released and
    allocated. `at`: the time of changes that are no steps.
    """
    last_release = max((index for index, step in enumerate(steps) if step.to in _WITHOUT_LEASE), default=-1)
    _tell_states(walk, steps[: last_release + 1])
    lease = walk.record.lease if walk.record.state is not State.REMOVED else None
    slots = lease.slots if lease is not None else ()
    kept = {ref.uuid for ref in slots}
    walk.release([ref for ref in walk.leased if ref.uuid not in kept], at, _why(walk.record))
    walk.allocate(slots, at, _why(walk.record))
    _tell_states(walk, steps[last_release + 1 :])


def _tell_states(walk: _Walk, steps: Iterable[HistoryEntry]) -> None:
    for step in steps:
        why = (step.actor, step.why or step.trigger.value)
        if step.to in _WITHOUT_LEASE:
            walk.release(walk.leased, step.at, why)
        elif step.to is State.HELD:
            walk.change(LeaseChange.HELD, step.at, why)
        elif step.source is State.HELD:
            walk.change(LeaseChange.RESUMED, step.at, why)


def _time_of_other_slots(previous: Record | None, after: Record, now: datetime) -> datetime:
    """Return when slots change hands without a step: with a new lease, or now if they join or leave a lease."""
    since = after.lease.since if after.lease is not None else None
    is_new = previous is None or previous.lease is None or previous.lease.since != since
    return since if since is not None and is_new else now


def _has_corrected_times(previous: Record, after: Record, steps: tuple[HistoryEntry, ...]) -> bool:
    """Return whether the commit changes times that the record had before: a wrong clock had written them."""
    if (
        not steps
        and previous.lease is not None
        and after.lease is not None
        and previous.lease.since != after.lease.since
    ):
        return True
    kept = after.history[: len(after.history) - len(steps)]
    old = previous.history[len(previous.history) - len(kept) :] if kept else ()
    return [step.at for step in kept] != [step.at for step in old]


def _tell_corrected(walk: _Walk, previous: Record, steps: tuple[HistoryEntry, ...]) -> None:
    """Tell the lease again from its beginning, with the corrected times; a lease that ended, only its end."""
    history = walk.record.history[: len(walk.record.history) - len(steps)]
    last_release = max((index for index, step in enumerate(history) if step.to in _WITHOUT_LEASE), default=-1)
    if previous.lease is not None:
        since = walk.record.lease.since if walk.record.lease is not None else previous.lease.since
        walk.restate(previous.lease.slots, since, (None, "its times were corrected"))
        _tell_states(walk, history[last_release + 1 :])
    elif last_release >= 0:
        step = history[last_release]
        walk.release(walk.record.gpus_fixed, step.at, (step.actor, step.why or step.trigger.value))


def _tell_rebuilt(walk: _Walk, now: datetime) -> None:
    record, history = walk.record, walk.record.history
    why = _why(record)
    was_held = any(step.to is State.HELD for step in history)
    if record.lease is not None:
        walk.allocate(record.lease.slots, record.lease.since, why)
    elif was_held:  # only a lease can be held
        walk.allocate(record.gpus_fixed, record.created_at, why)
    _tell_states(walk, history)
    if record.lease is None and not was_held:
        ends = [step.at for step in history if step.to in _WITHOUT_LEASE]
        walk.release(record.gpus_fixed, max(ends, default=now), why)
    if record.state is State.RUNNING:  # what is known of the lost record may say that it was held
        walk.change(LeaseChange.RESUMED, record.last_change, why)


def _why(record: Record) -> tuple[str | None, str | None]:
    """Return actor and reason of the change: the pending command, or else the last transition."""
    if record.pending is not None:
        return record.pending.actor, record.pending.trigger.value
    if not record.history:
        return None, None
    step = record.history[-1]
    return step.actor, step.why or step.trigger.value
