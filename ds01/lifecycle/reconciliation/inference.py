"""What a record becomes, given what the engine has. Pure: the time and the others' leases are arguments."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ds01.engines.protocol import ContainerStatus, EngineContainer, EngineInfo
from ds01.gpus.model import Lease
from ds01.gpus.slot_names import display_names
from ds01.records.deadlines import hold_ends
from ds01.records.end_reason import end_seen_outside
from ds01.records.record import HistoryEntry, Record, apply_transition, with_changes
from ds01.records.state_machine import State, Trigger

OBSERVED = "observed"
STOPS_FOR = timedelta(minutes=1)  # how long Docker may take from ending containers to its new start, or to find them
BOOTS_FOR = timedelta(minutes=20)  # from the end of containers to the new kernel: such servers test their memory


@dataclass(frozen=True)
class Inferred:
    """The record as it should be, and the transitions that led there."""

    record: Record
    steps: tuple[HistoryEntry, ...] = ()


def differs(record: Record, listed: EngineContainer | None) -> bool:
    """Whether a list's entry says that something happened which the record does not know. Cheap, and without detail."""
    if listed is None or record.pending is not None:
        return True
    if listed.status is ContainerStatus.REMOVING:
        return False
    runs = listed.status.has_processes
    return runs != (record.state is State.RUNNING) or (
        runs and (listed.status is ContainerStatus.PAUSED) != record.paused
    )


def is_incomplete(record: Record, seen: EngineContainer) -> bool:
    """Whether the create did not come to its end: such a container has no account inside, and never ran."""
    creating = record.pending is not None and record.pending.trigger is Trigger.CREATE
    return creating and record.docker_id is None and not _has_run(seen)


def ended_by_restart(record: Record, seen: EngineContainer, facts: EngineInfo) -> str | None:
    """What ended a container, if it was a restart of the server or of the engine; None if it was not, or unknown.

    Exit codes do not tell: Docker's signal may end a container, or SIGKILL; after a crash it has 255 at the next start.
    Nor does `oom_killed`: Docker says it of every container in which any process ran out of memory since its start.
    """
    if seen.finished_at is None or seen.exit_code == 0:
        return None
    began = record.engine_started_at or record.started_at
    for since, reach, why in (
        (facts.booted_at, BOOTS_FOR, "the server was restarted"),
        (facts.started_at, STOPS_FOR, "Docker restarted"),
    ):
        if since is not None and began is not None and began < since and abs(seen.finished_at - since) <= reach:
            return why
    return None


def infer_transitions(
    record: Record,
    seen: EngineContainer | None,
    *,
    taken: Collection[str],
    hold: timedelta | None,
    now: datetime,
    restart: str | None = None,
) -> Inferred:
    """The record after what happened behind ds01. `seen` has its detail; `taken`: UUIDs that others have.

    `hold` is the owner's gpu_hold_after_stop; `restart` what `ended_by_restart` found. Nobody may be at work on the
    container: its lock is held.
    """
    inference = _Inference(record, now, hold, restart)
    if seen is None:
        creating = record.pending is not None and record.pending.trigger is Trigger.CREATE
        inference.go(Trigger.VANISH, now, "the create did not come to its end" if creating else "removed behind ds01")
        return inference.verdict()
    if seen.status is ContainerStatus.REMOVING:
        return inference.verdict()
    if record.docker_id is None:
        inference.record = with_changes(
            record, docker_id=seen.id, gpus_fixed=record.lease.slots if record.lease else ()
        )
        inference.go(Trigger.CREATE, seen.created_at, None)
    elif record.pending is not None:
        # Making it anew did not come to its end: it has the devices that it had, and so the lease.
        inference.record = dataclasses.replace(record, lease=_lease_of_devices(record))
    if seen.status.has_processes:
        _infer_running(inference, seen, taken)
    else:
        _infer_stopped(inference, seen)
    return inference.verdict()


def _lease_of_devices(record: Record) -> Lease | None:
    """Its lease as far as it is on the devices that Docker fixed; none if it has not got all of these."""
    fixed = {ref.uuid for ref in record.gpus_fixed}
    if record.lease is None or not fixed or not fixed <= {ref.uuid for ref in record.lease.slots}:
        return None
    return dataclasses.replace(record.lease, slots=record.gpus_fixed)


def _infer_running(inference: _Inference, seen: EngineContainer, taken: Collection[str]) -> None:
    record = inference.record
    started = seen.started_at or inference.now
    fresh = {"engine_started_at": seen.started_at, "paused": seen.status is ContainerStatus.PAUSED}
    why = None if record.pending is not None else "started behind ds01"
    lease, conflict = record.lease, None
    if record.state is State.RUNNING:
        if record.engine_started_at in (None, seen.started_at):
            if record.pending is not None or record.paused != fresh["paused"] or record.engine_started_at is None:
                inference.record = with_changes(record, **fresh)
            return
        inference.stop(seen.finished_at or started, seen)
        why = "started again behind ds01"
    if lease is None and record.gpus_fixed:
        if any(ref.uuid in taken for ref in record.gpus_fixed):
            slots = display_names(record.gpus_fixed)
            conflict = f"it runs on GPU {slots}, which somebody else has"
        else:
            lease = Lease(record.gpus_fixed, inference.clip(started))
    inference.go(Trigger.START, started, why, lease=lease, conflict=conflict, **fresh)


def _infer_stopped(inference: _Inference, seen: EngineContainer) -> None:
    record = inference.record
    ended = seen.finished_at or inference.now
    if record.state is State.RUNNING:
        inference.stop(ended, seen)
        return
    if _has_run(seen) and seen.started_at != record.engine_started_at:
        # It was started and has ended since; without a lease it ran without one.
        inference.go(
            Trigger.START,
            seen.started_at or ended,
            None if record.pending is not None else "started behind ds01",
            engine_started_at=seen.started_at,
        )
        inference.stop(ended, seen)
        return
    if record.pending is not None:
        # A start that did not come to its end: what it leased for it goes back.
        kept = None if record.state is State.STOPPED else record.lease
        inference.record = with_changes(record, lease=kept)


def _has_run(seen: EngineContainer) -> bool:
    return seen.started_at is not None


class _Inference:
    """A record on its way through transitions that were observed."""

    def __init__(self, record: Record, now: datetime, hold: timedelta | None, restart: str | None) -> None:
        self.record = record
        self.now = now
        self._hold = hold
        self._restart = restart
        self._actor = record.pending.actor if record.pending is not None else OBSERVED
        self._steps: list[HistoryEntry] = []

    def verdict(self) -> Inferred:
        return Inferred(self.record, tuple(self._steps))

    def clip(self, at: datetime) -> datetime:
        """Return the engine's time, no later than now and no earlier than what the record knows.

        That holds also where the clock is behind the record: `now` is what is wrong then.
        """
        return max(min(at, self.now), self.record.last_observed_at)

    def stop(self, at: datetime, seen: EngineContainer) -> None:
        why = end_seen_outside(self.record, seen, self._restart)
        self.go(Trigger.STOP, at, why.why, holds=self._hold != timedelta(0))
        self.record = with_changes(self.record, ended=dataclasses.replace(why, at=self.record.last_change))
        if self.record.state is State.HELD:
            self.record = with_changes(self.record, held_until=hold_ends(self.record, self._hold))

    def go(self, trigger: Trigger, at: datetime, why: str | None, **changes: Any) -> None:
        self.record = apply_transition(self.record, trigger, actor=self._actor, at=self.clip(at), why=why, **changes)
        self._steps.append(self.record.history[-1])
