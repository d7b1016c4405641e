"""The record of one container, and the one function that moves it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from ds01.engines.protocol import PublishedPort
from ds01.gpus.model import Lease, SlotRef
from ds01.policy.model import Limits
from ds01.records.request import ContainerRequest
from ds01.records.state_machine import State, Trigger, next_state
from ds01.system.data import DataError, parse_time

SCHEMA = 1
HISTORY_LENGTH = 50  # transitions that a record keeps


class Origin(str, Enum):
    """How the record came to be."""

    CREATED = "created"
    ADOPTED = "adopted"
    MANUAL = "manual"  # `ds01 gpu allocate`: no container stands behind it, only `release` ends it


@dataclass(frozen=True)
class Pending:
    """A command that has begun and has not written its outcome yet."""

    trigger: Trigger
    since: datetime
    actor: str
    image_id: str | None = None  # of the container that is made anew: its tag is the new one's meanwhile
    successor: Mapping[str, Any] | None = None  # the record, as it is written, of the one that takes its place


@dataclass(frozen=True)
class HistoryEntry:
    """One transition that happened."""

    at: datetime
    source: State | None = field(metadata={"key": "from"})
    to: State
    trigger: Trigger
    actor: str
    why: str | None = None


@dataclass(frozen=True)
class ContainerEnd:
    """Why a container ended, in a line for people. `exit_code` None: it was not asked for, or is not known."""

    at: datetime
    why: str
    exit_code: int | None = None
    oom: bool = False  # the kernel ended it because its memory ran out


@dataclass(frozen=True)
class Record:
    """All that ds01 knows of one container and the engine cannot say."""

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
    gpus_fixed: tuple[SlotRef, ...] = ()  # what Docker fixed at create
    ports: tuple[PublishedPort, ...] = ()  # published on the server, fixed at create as well
    conflict: str | None = None
    resource_limits: Limits = field(default_factory=Limits)
    workspace: str | None = None
    started_at: datetime | None = None
    engine_started_at: datetime | None = None  # the engine's own word, compared for change only
    stopped_at: datetime | None = None
    ended: ContainerEnd | None = None
    held_until: datetime | None = None
    extended_until: datetime | None = None
    extended: timedelta = timedelta(0)  # all extensions since the last start
    keep: bool = False  # past container_hold_after_stop
    activity: Mapping[str, Any] = field(default_factory=dict)
    warnings: Mapping[str, Any] = field(default_factory=dict)
    history: tuple[HistoryEntry, ...] = ()

    @property
    def slots(self) -> tuple[str, ...]:
        """The slots of its lease."""
        return tuple(ref.slot for ref in self.lease.slots) if self.lease else ()

    @property
    def last_change(self) -> datetime:
        """When it last moved."""
        return self.history[-1].at if self.history else self.created_at

    @property
    def last_observed_at(self) -> datetime:
        """When it last moved, or the tick last looked at it while it ran."""
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
    """The record after `trigger`: state, lease, times, history, `pending` cleared. Nothing is written.

    `holds`: the hold after a stop is not zero. `changes` are further fields. Raises InvalidState.

    `at` is taken to be no earlier than what was seen before: a clock that a dead battery put into the past would
    otherwise end a hold at once when it is right again.
    """
    at = max(at, record.last_observed_at)
    before = None if trigger is Trigger.CREATE else record.state
    after = next_state(before, trigger, holds=holds and record.lease is not None)
    step = HistoryEntry(at, before, after, trigger, actor, why)
    facts = _state_fields(after, at)
    if trigger is Trigger.RELEASE and record.stopped_at is not None:
        # It stopped when it stopped: the removal's delay counts from then, and its warning is about the same time.
        del facts["stopped_at"], facts["warnings"]
    return with_changes(record, state=after, history=(*record.history, step)[-HISTORY_LENGTH:], **facts | changes)


def with_changes(record: Record, **changes: Any) -> Record:
    """The record with `changes`, `pending` cleared unless given, `gpu_id` drawn from the lease."""
    changed = dataclasses.replace(record, **{"pending": None} | changes)
    return dataclasses.replace(changed, gpu_id=",".join(changed.slots) or None)


def _state_fields(after: State, at: datetime) -> dict[str, Any]:
    """What a new state means for the record's facts."""
    if after is State.RUNNING:
        fresh: dict[str, Any] = {"extended_until": None, "extended": timedelta(0), "activity": {}, "warnings": {}}
        return {"started_at": at, "stopped_at": None, "held_until": None, "ended": None} | fresh
    if after is State.HELD:
        return {"stopped_at": at, "paused": False, "warnings": {}}
    if after in (State.STOPPED, State.REMOVED):
        ended: dict[str, Any] = {"lease": None, "held_until": None, "paused": False, "conflict": None, "warnings": {}}
        return ended if after is State.REMOVED else ended | {"stopped_at": at}
    return {}
