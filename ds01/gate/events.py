"""Handlers of the operations that read events and logs. Users get the events of which they are owner or actor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from ds01.api.seeing.events import (
    EventStep,
    EventView,
    FollowEvents,
    FollowLog,
    ListEvents,
    ListLogs,
    LogStep,
    LogView,
    OfEvents,
    ReadLog,
)
from ds01.errors import Ds01Error, UsageError
from ds01.gate.call import Call
from ds01.journal.event_reader import Event, EventFilter, Person, event_reader, matches, parse_event
from ds01.journal.log_files import LastLines, LogFollower, log_status, read_last
from ds01.observe.event_texts import EVENT_WORDS, describe_event
from ds01.records.state_machine import Trigger

EVENTS = "events"
LOGS = {"tick": "tick.log", "allocations": "gpu-allocations.log", EVENTS: "events.jsonl"}
POLL_INTERVAL = 0.5  # seconds between two looks at a log that is followed


def list_events(call: Call, operation: ListEvents) -> tuple[EventView, ...]:
    """Return events from the log and its rotated files."""
    wanted = _filter(call, operation)
    path = _path(call, EVENTS)
    try:
        found = read_last(path, LastLines(event_reader(wanted), operation.limit, wanted.since))
    except OSError as error:
        raise _unreadable(path, error) from error
    return tuple(map(_view, found))


def follow_events(call: Call, operation: FollowEvents) -> Iterator[EventStep]:
    """Yield the last events, then new ones."""
    wanted = _filter(call, operation)
    path = _path(call, EVENTS)
    try:
        with closing(LogFollower(path)) as follower:
            last = follower.read_last(LastLines(event_reader(wanted), operation.limit, wanted.since))
            yield EventStep(tuple(map(_view, last)))
            while True:
                events = map(parse_event, follower.new_lines())
                new = [event for event in events if event is not None and matches(event, wanted)]
                yield EventStep(tuple(map(_view, new)))
                call.context.sleep(POLL_INTERVAL)
    except OSError as error:
        raise _unreadable(path, error) from error


def list_logs(call: Call, operation: ListLogs) -> tuple[LogView, ...]:
    """Return the logs with their sizes."""
    views = []
    for name in LOGS:
        path = _path(call, name)
        try:
            status = log_status(path)
        except OSError as error:
            raise _unreadable(path, error) from error
        views.append(
            LogView(name, str(path), status.bytes, status.changed_at, status.rotated, status.rotated_bytes)
        )  # fmt: skip
    return tuple(views)


def read_log(call: Call, operation: ReadLog) -> tuple[str, ...]:
    """Return the last lines of a log."""
    path = _path(call, operation.name)
    try:
        return tuple(read_last(path, LastLines(_text, operation.lines)))
    except OSError as error:
        raise _unreadable(path, error) from error


def follow_log(call: Call, operation: FollowLog) -> Iterator[LogStep]:
    """Yield the last lines of a log, then new ones."""
    path = _path(call, operation.name)
    try:
        with closing(LogFollower(path)) as follower:
            yield LogStep(tuple(follower.read_last(LastLines(_text, operation.lines))))
            while True:
                yield LogStep(tuple(map(_text, follower.new_lines())))
                call.context.sleep(POLL_INTERVAL)
    except OSError as error:
        raise _unreadable(path, error) from error


def _filter(call: Call, operation: OfEvents) -> EventFilter:
    """Return the filter of an operation. Raises PermissionDenied, UsageError."""
    known = {*EVENT_WORDS, *(trigger.value for trigger in Trigger)}
    for kind in operation.types:
        if kind not in known:
            raise UsageError(f"there are no events of the type {kind!r}", why=f"types: {', '.join(sorted(known))}")
    person = _person(call, operation)
    return EventFilter(person, operation.container, frozenset(operation.types), operation.since, operation.until)


def _person(call: Call, operation: OfEvents) -> Person | None:
    """Return whose events are wanted; None: everybody's."""
    uid = operation.owner
    if operation.all_users:
        call.check_admin()
        return None
    if uid is None:
        if call.context.rules.is_admin(call.actor):
            return None
        uid = call.actor.uid
    call.check_owner(uid)
    return Person(call.login(uid), uid)


def _path(call: Call, name: str) -> Path:
    if name not in LOGS:
        raise UsageError(f"there is no log {name!r}", why=f"logs: {', '.join(LOGS)}")
    return call.context.log_directory / LOGS[name]


def _view(event: Event) -> EventView:
    return EventView(
        event.time, event.type, event.actor, event.container, event.user, event.why, event.more, describe_event(event)
    )


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace")


def _unreadable(path: Path, error: OSError) -> Ds01Error:
    return Ds01Error(
        f"{path.name} cannot be read",
        why=f"{path}: {error.strerror or error}",
        hint="`sudo ds01 doctor` checks the directory of the logs",
    )
