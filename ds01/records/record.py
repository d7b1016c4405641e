"""The record of one container, and the one function that changes its state."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import field
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from ds01.dataclass import dataclass
from ds01.engines.protocol import PublishedPort
from ds01.gpus.model import Lease, SlotRef
from ds01.policy.model import Limits
from ds01.records.request import ContainerRequest
from ds01.records.state_machine import State, Trigger, next_state
from ds01.system.data import DataError, parse_time

SCHEMA = 1
HISTORY_LENGTH = 50  # transitions that a record keeps


class Origin(str, Enum):
    """Where the record comes from."""

    CREATED = "created"
    ADOPTED = "adopted"
    MANUAL = "manual"  # `ds01 gpu allocate`: a lease without a container; only `release` ends it


@dataclass(frozen=True)
class Pending:
    """A command that has started and has not written its outcome yet."""

    trigger: Trigger
    since: datetime
    actor: str
    image_id: str | None = None  # of the container that is created again; its tag already belongs to the replacement
    successor: Mapping[str, Any] | None = None  # the replacement's record, in its JSON form


@dataclass(frozen=True)
class HistoryEntry:
    """One past transition."""

    at: datetime
    source: State | None = field(metadata={"key": "from"})
    to: State
    trigger: Trigger
    actor: str
    why: str | None = None


@dataclass(frozen=True)
class ContainerEnd:
    """Why a container ended, in a line for people. `exit_code` None: not asked for, or unknown."""

    at: datetime
    why: str
    exit_code: int | None = None
    oom: bool = False  # the kernel killed it because it ran out of memory


@dataclass(frozen=True)
class Record:
    """What ds01 knows about one container and the engine does not."""

    id: str
    installation: str
    container_name: str
    name: str
    user: str
    uid: int
    gid: int
    group: str
    state: State
    image: str
    created_at: datetime
    schema: int = SCHEMA
    rev: int = 0
    project: str | None = None
    paused: bool = False
    origin: Origin = Origin.CREATED
    docker_id: str | None = None
    own_tag: str | None = None  # the image tag that goes with the container
    request: ContainerRequest | None = None
    pending: Pending | None = None
    gpu_id: str | None = None  # the leased slots joined by commas: for people and older scripts
    lease: Lease | None = None
    gpus_fixed: tuple[SlotRef, ...] = ()  # the slots that Docker gives it, fixed at create
    ports: tuple[PublishedPort, ...] = ()  # published on the server, also fixed at create
    conflict: str | None = None
    resource_limits: Limits = field(default_factory=Limits)
    workspace: str | None = None
    started_at: datetime | None = None
    engine_started_at: datetime | None = None  # as the engine reports it; compared for change only
    stopped_at: datetime | None = None
    ended: ContainerEnd | None = None
    held_until: datetime | None = None
    extended_until: datetime | None = None
    extended: timedelta = timedelta(0)  # all extensions since the last start
    keep: bool = False  # not removed at the end of container_hold_after_stop
    activity: Mapping[str, Any] = field(default_factory=dict)
    warnings: Mapping[str, Any] = field(default_factory=dict)
    history: tuple[HistoryEntry, ...] = ()

    @property
    def slots(self) -> tuple[str, ...]:
        """The slots of its lease."""
        return tuple(ref.slot for ref in self.lease.slots) if self.lease else ()

    @property
    def last_change(self) -> datetime:
        """When its state last changed."""
        return self.history[-1].at if self.history else self.created_at

    @property
    def last_observed_at(self) -> datetime:
        """When its state last changed, or the tick last saw it running."""
        sample = self.activity.get("sample") if self.state is State.RUNNING else None
        try:
            return max(self.last_change, parse_time(sample["at"])) if isinstance(sample, dict) else self.last_change
        except (DataError, KeyError):
            return self.last_change


def apply_transition(
    record: Record,
    trigger: Trigger,
    *,
    actor: str,
    at: datetime,
    why: str | None = None,
    holds: bool = False,
    **changes: Any,
) -> Record:
    """Return the record after `trigger`: state, lease, times, history; `pending` is cleared. Nothing is written.

    `holds`: the hold after a stop is not zero. `changes`: further fields. Raises InvalidState.

    `at` is raised to the record's last observation. Otherwise a clock that a dead battery set back would end a hold at
    once when it is right again.
    """
    at = max(at, record.last_observed_at)
    before = None if trigger is Trigger.CREATE else record.state
    after = next_state(before, trigger, holds=holds and record.lease is not None)
    step = HistoryEntry(at, before, after, trigger, actor, why)
    facts = _state_fields(after, at)
    if trigger is Trigger.RELEASE and record.stopped_at is not None:
        # The delay before removal still counts from the original stop, and its warning names the same time.
        del facts["stopped_at"], facts["warnings"]
    return with_changes(record, state=after, history=(*record.history, step)[-HISTORY_LENGTH:], **facts | changes)


def with_changes(record: Record, **changes: Any) -> Record:
    """Return the record with `changes`, `pending` cleared unless given, and `gpu_id` derived from the lease."""
    changed = dataclasses.replace(record, **{"pending": None} | changes)
    return dataclasses.replace(changed, gpu_id=",".join(changed.slots) or None)


def _state_fields(after: State, at: datetime) -> dict[str, Any]:
    """Return the fields that entering a state sets."""
    if after is State.RUNNING:
        fresh: dict[str, Any] = {"extended_until": None, "extended": timedelta(0), "activity": {}, "warnings": {}}
        return {"started_at": at, "stopped_at": None, "held_until": None, "ended": None} | fresh
    if after is State.HELD:
        return {"stopped_at": at, "paused": False, "warnings": {}}
    if after in (State.STOPPED, State.REMOVED):
        ended: dict[str, Any] = {"lease": None, "held_until": None, "paused": False, "conflict": None, "warnings": {}}
        return ended if after is State.REMOVED else ended | {"stopped_at": at}
    return {}
