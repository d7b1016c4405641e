"""Find events in events.jsonl and its rotated files. Lines that are no events are left out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import datetime
from typing import Any

from ds01.dataclass import dataclass
from ds01.journal.log_files import StopReading
from ds01.policy.names import fold_name
from ds01.system.data import DataError, parse_json, parse_time

OLD_LINES = 1000  # consecutive lines before the period, after which older lines are not read: clocks can be wrong
ONLY_BY_NAME = frozenset({"lease"})  # for programs: the transitions say the same to people
_COMMON = ("time", "type", "actor", "container", "user", "why")


@dataclass(frozen=True)
class Event:
    """One event. `more`: the keys that only its type has."""

    time: datetime
    type: str
    actor: str | None
    container: str | None
    user: str | None
    why: str | None
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Person:
    """A user whose events are wanted: as owner, or as actor."""

    login: str
    uid: int


@dataclass(frozen=True)
class EventFilter:
    """Which events are wanted; None or empty: any, but ONLY_BY_NAME. `types`: of the event, or the trigger.

    `container`: a full name, or the owner's name for it. `since` belongs to the period, `until` does not.
    """

    person: Person | None = None
    container: str | None = None
    types: frozenset[str] = frozenset()
    since: datetime | None = None
    until: datetime | None = None


def parse_event(line: bytes) -> Event | None:
    """Return the event of a line; None if the line is torn, or something else wrote it."""
    try:
        document = parse_json(line)
        if not isinstance(document, dict) or not isinstance(document.get("type"), str):
            return None
        time = parse_time(document["time"])
    except (DataError, KeyError):
        return None
    actor, container, user, why = (_text(document.get(key)) for key in _COMMON[2:])
    more = {str(key): value for key, value in document.items() if key not in _COMMON}
    return Event(time, document["type"], actor, container, user, why, more)


def event_reader(wanted: EventFilter) -> Callable[[bytes], Event | None]:
    """Return a parser of lines, newest first, that returns the wanted events. It raises StopReading before `since`."""
    marks = _marks(wanted.person)
    old_lines = 0

    def read(line: bytes) -> Event | None:
        nonlocal old_lines
        # Parsing costs a hundred times as much as this search, and most lines are about others.
        if marks and not any(mark in line for mark in marks):
            return None
        event = parse_event(line)
        if event is None:
            return None
        if wanted.since is not None and event.time < wanted.since:
            old_lines += 1
            if old_lines >= OLD_LINES:
                raise StopReading
            return None
        old_lines = 0
        return event if matches(event, wanted) else None

    return read


def matches(event: Event, wanted: EventFilter) -> bool:
    """Return whether an event is wanted."""
    if wanted.since is not None and event.time < wanted.since:
        return False
    if wanted.until is not None and event.time >= wanted.until:
        return False
    if wanted.types and event.type not in wanted.types and event.more.get("trigger") not in wanted.types:
        return False
    if not wanted.types and event.type in ONLY_BY_NAME:
        return False
    if wanted.container is not None and not _is_named(event.container, wanted.container):
        return False
    return wanted.person is None or _is_about(event, wanted.person)


def _is_about(event: Event, person: Person) -> bool:
    uid = (event.container or "").rpartition("._.")[2]
    return person.login in (event.user, event.actor) or uid == str(person.uid)


def _is_named(container: str | None, reference: str) -> bool:
    name = (container or "").rpartition("._.")[0]
    return (container is not None and reference in (container, name)) or (bool(name) and name == _folded(reference))


def _folded(reference: str) -> str | None:
    try:
        return fold_name(reference)[0]
    except ValueError:
        return None


def _marks(person: Person | None) -> tuple[bytes, ...]:
    """Return the texts of which a line about this person has at least one."""
    if person is None:
        return ()
    return json.dumps(person.login, ensure_ascii=False).encode("utf-8", "replace"), f'._.{person.uid}"'.encode()


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
