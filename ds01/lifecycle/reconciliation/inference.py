"""Infer a record's transitions from what the engine reports. Pure: time and other leases are arguments."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from ds01.dataclass import dataclass
from ds01.engines.protocol import ContainerStatus, EngineContainer, EngineInfo
from ds01.gpus.model import Lease
from ds01.gpus.slot_names import display_names
from ds01.records.deadlines import hold_ends
from ds01.records.end_reason import end_seen_outside
from ds01.records.record import ContainerEnd, HistoryEntry, Record, apply_transition, with_changes
from ds01.records.state_machine import State, Trigger

OBSERVED = "observed"
STOPS_FOR = timedelta(minutes=1)  # the longest time between the end of containers and Docker's new start
BOOTS_FOR = timedelta(minutes=20)  # between the end of containers and the new kernel: servers test their memory


@dataclass(frozen=True)
class Inferred:
    """The record as it should be, and the transitions that led there."""

    record: Record
    steps: tuple[HistoryEntry, ...] = ()


def differs(record: Record, listed: EngineContainer | None) -> bool:
    """Return whether a container's list entry shows a change that is not in the record. Cheap: no inspection."""
    if listed is None or record.pending is not None:
        return True
    if listed.status is ContainerStatus.REMOVING:
        return False
    runs = listed.status.has_processes
    return runs != (record.state is State.RUNNING) or (
        runs and (listed.status is ContainerStatus.PAUSED) != record.paused
    )


def is_incomplete(record: Record, container: EngineContainer) -> bool:
    """Return whether the create was interrupted: such a container has no account inside, and never ran."""
    creating = record.pending is not None and record.pending.trigger is Trigger.CREATE
    return creating and record.docker_id is None and not _has_run(container)


def ended_by_restart(record: Record, container: EngineContainer, facts: EngineInfo) -> str | None:
    """Return which restart, of the server or of the engine, ended a container; None if neither, or unknown.

    Exit codes do not tell: Docker may use its signal or SIGKILL, and after a crash reports 255 at the next start. Nor
    does `oom_killed`: Docker sets it if any process of the container ran out of memory since its start.
    """
    if container.finished_at is None or container.exit_code == 0:
        return None
    began = record.engine_started_at or record.started_at
    for since, reach, why in (
        (facts.booted_at, BOOTS_FOR, "the server was restarted"),
        (facts.started_at, STOPS_FOR, "Docker restarted"),
    ):
        if since is not None and began is not None and began < since and abs(container.finished_at - since) <= reach:
            return why
    return None


def infer_transitions(
    record: Record,
    container: EngineContainer | None,
    *,
    taken: Collection[str],
    hold: timedelta | None,
    now: datetime,
    restart: str | None = None,
) -> Inferred:
    """Return the record after what happened outside ds01.

    `container`: as inspected; None: gone. `taken`: UUIDs of the slots that others lease. `hold`: the owner's
    gpu_hold_after_stop. `restart`: the result of `ended_by_restart`. The container's lock must be held.
    """
    inference = _Inference(record, now, hold, restart)
    if container is None:
        creating = record.pending is not None and record.pending.trigger is Trigger.CREATE
        why = "the create was interrupted" if creating else "removed outside ds01"
        # One that was stopped before has ended already, for another reason.
        ended = record.ended or ContainerEnd(inference.clip(now), why)
        inference.go(Trigger.VANISH, now, why, ended=ended)
        return inference.verdict()
    if container.status is ContainerStatus.REMOVING:
        return inference.verdict()
    if record.docker_id is None:
        inference.record = with_changes(
            record, docker_id=container.id, gpus_fixed=record.lease.slots if record.lease else ()
        )
        inference.go(Trigger.CREATE, container.created_at, None)
    elif record.pending is not None:
        # The command was interrupted: the container has its old devices, and so the lease on them.
        inference.record = dataclasses.replace(record, lease=_lease_of_devices(record))
    if container.status.has_processes:
        _infer_running(inference, container, taken)
    else:
        _infer_stopped(inference, container)
    return inference.verdict()


def _lease_of_devices(record: Record) -> Lease | None:
    """Return the lease on the devices that Docker fixed; None if the lease does not contain all of them."""
    fixed = {ref.uuid for ref in record.gpus_fixed}
    if record.lease is None or not fixed or not fixed <= {ref.uuid for ref in record.lease.slots}:
        return None
    return dataclasses.replace(record.lease, slots=record.gpus_fixed)


def _infer_running(inference: _Inference, container: EngineContainer, taken: Collection[str]) -> None:
    record = inference.record
    started = container.started_at or inference.now
    fresh = {"engine_started_at": container.started_at, "paused": container.status is ContainerStatus.PAUSED}
    why = None if record.pending is not None else "started outside ds01"
    if record.state is State.RUNNING:
        if record.engine_started_at in (None, container.started_at):
            if record.pending is not None or record.paused != fresh["paused"] or record.engine_started_at is None:
                inference.record = with_changes(record, **fresh)
            return
        inference.stop(container.finished_at or started, container)
        why = "started again outside ds01"
    lease, conflict = inference.record.lease, None  # without a hold, the stop has ended it
    if lease is None and record.gpus_fixed:
        if any(ref.uuid in taken for ref in record.gpus_fixed):
            slots = display_names(record.gpus_fixed)
            conflict = f"it runs on GPU {slots}, which is leased to another container"
        else:
            lease = Lease(record.gpus_fixed, inference.clip(started))
    inference.go(Trigger.START, started, why, lease=lease, conflict=conflict, **fresh)


def _infer_stopped(inference: _Inference, container: EngineContainer) -> None:
    record = inference.record
    ended = container.finished_at or inference.now
    if record.state is State.RUNNING:
        inference.stop(ended, container)
        return
    if _has_run(container) and container.started_at != record.engine_started_at:
        # It was started and has stopped since, without getting a lease in between.
        inference.go(
            Trigger.START,
            container.started_at or ended,
            None if record.pending is not None else "started outside ds01",
            engine_started_at=container.started_at,
        )
        inference.stop(ended, container)
        return
    if record.pending is not None:
        # An interrupted start: its new lease is released.
        kept = None if record.state is State.STOPPED else record.lease
        inference.record = with_changes(record, lease=kept)


def _has_run(container: EngineContainer) -> bool:
    return container.started_at is not None


class _Inference:
    """A record to which observed transitions are applied."""

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
        """Clip the engine's time to [the record's last observation, now].

        If the clock is behind the record, the record's time counts: then `now` is wrong.
        """
        return max(min(at, self.now), self.record.last_observed_at)

    def stop(self, at: datetime, container: EngineContainer) -> None:
        why = end_seen_outside(self.record, container, self._restart)
        self.go(Trigger.STOP, at, why.why, holds=self._hold != timedelta(0))
        self.record = with_changes(self.record, ended=dataclasses.replace(why, at=self.record.last_change))
        if self.record.state is State.HELD:
            self.record = with_changes(self.record, held_until=hold_ends(self.record, self._hold))

    def go(self, trigger: Trigger, at: datetime, why: str | None, **changes: Any) -> None:
        self.record = apply_transition(self.record, trigger, actor=self._actor, at=self.clip(at), why=why, **changes)
        self._steps.append(self.record.history[-1])
