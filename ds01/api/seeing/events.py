"""Operations that read what happened: events, and the logs of the administrator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Any, ClassVar

from ds01.api.operation import Access, Operation, Step, StreamOperation
from ds01.dataclass import dataclass


@dataclass(frozen=True)
class EventView:
    """One event. `more`: the keys that only its type has. `text`: what happened, for people, without time and names."""

    time: datetime
    type: str
    actor: str | None
    container: str | None
    user: str | None
    why: str | None
    more: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""


@dataclass(frozen=True)
class OfEvents:
    """Which events: of `owner`, as owner or actor (None: of everybody for administrators, else the actor's own).

    `all_users`: of everybody, and PermissionDenied for who is no administrator. `container`: a full name or the owner's
    name for it. `types`: of events, or triggers of transitions. `limit`: the last so many; None: all.
    """

    access: ClassVar[Access] = Access.EVERYBODY  # the handler checks `owner` and `all_users`
    owner: int | None = None
    all_users: bool = False
    container: str | None = None
    types: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    limit: int | None = None


@dataclass(frozen=True)
class ListEvents(OfEvents, Operation[tuple[EventView, ...]]):
    """Return events, oldest first. Raises UsageError for an unknown type."""


@dataclass(frozen=True)
class EventStep(Step[None]):
    """New events. Often there are none: so its receiver can notice that nobody reads any more."""

    events: tuple[EventView, ...]


@dataclass(frozen=True)
class FollowEvents(OfEvents, StreamOperation[EventStep, None]):
    """Yield the last `limit` events, and then new ones until the stream is closed."""


@dataclass(frozen=True)
class LogView:
    """A log of the administrator. `changed_at` None: it does not exist. `rotated`: the number of older files."""

    name: str
    path: str
    bytes: int
    changed_at: datetime | None
    rotated: int
    rotated_bytes: int


@dataclass(frozen=True)
class ListLogs(Operation[tuple[LogView, ...]]):
    """Return which logs there are."""

    access: ClassVar[Access] = Access.ADMIN


@dataclass(frozen=True)
class ReadLog(Operation[tuple[str, ...]]):
    """Return the last `lines` lines of a log. Raises UsageError for an unknown `name`."""

    access: ClassVar[Access] = Access.ADMIN
    name: str
    lines: int


@dataclass(frozen=True)
class LogStep(Step[None]):
    """New lines of a log; often none, see EventStep."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class FollowLog(StreamOperation[LogStep, None]):
    """Yield the last `lines` lines of a log, and then new ones until the stream is closed."""

    access: ClassVar[Access] = Access.ADMIN
    name: str
    lines: int
