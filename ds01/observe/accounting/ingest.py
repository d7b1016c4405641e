"""Bring the database up to date with the events. Lines that are no events, or have other values, are passed over."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ds01.journal.event_reader import Event, parse_event
from ds01.observe.accounting.lease_book import LeasedSlot, LeaseEvent, LeaseOwner, apply_event
from ds01.observe.accounting.log_tail import LogPosition, LogTail
from ds01.observe.accounting.times import SECOND, to_number
from ds01.system.data import DataError, parse_time

_POSITION = "log"
_CHANGES = frozenset({"allocated", "held", "resumed", "released"})
_MAX_TEXT = 512  # letters: names have far fewer, and anybody in the group can write a line
_MAX_NUMBER = 1 << 53
_LARGEST_DURATION = 100 * 366 * 86400  # seconds


class _Wrong(Exception):
    """A value of an event has another type than expected."""


def ingest(connection: sqlite3.Connection, log: Path) -> int:
    """Apply the events since the last call, and return their number. The caller has begun a transaction.

    Raises sqlite3.Error, and OSError if the log cannot be read.
    """
    tail = LogTail(log, _stored_position(connection))
    count = 0
    for line in tail.lines():
        if _may_matter(line) and (event := parse_event(line)) is not None:
            try:
                count += _apply(connection, event)
            except _Wrong:
                continue
    if tail.position is not None:
        text = json.dumps(asdict(tail.position))
        connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_POSITION, text))
    return count


def has_read_log(connection: sqlite3.Connection) -> bool:
    """Return whether a log was read before."""
    return _stored_position(connection) is not None


def _stored_position(connection: sqlite3.Connection) -> LogPosition | None:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (_POSITION,)).fetchone()
    try:
        return None if row is None else LogPosition(**json.loads(row[0]))
    except (ValueError, TypeError):
        return None


def _may_matter(line: bytes) -> bool:
    """Return whether a line is worth parsing, which costs a hundred times as much as this search."""
    return b'"lease"' in line or b'"idle"' in line or b'"wait"' in line or b'"extension"' in line


def _apply(connection: sqlite3.Connection, event: Event) -> bool:
    if event.type == "lease":
        apply_event(connection, _lease_event(event))
    elif event.type == "wait":
        wait = (
            to_number(event.time), _name(event.container), _name(event.user), _number(event.more, "uid"),
            _text(event.more, "group"), _optional(event.more, "project"), _optional(event.more, "image"),
            _duration(event.more, "seconds"), _text(event.more, "outcome"),
        )  # fmt: skip
        connection.execute("INSERT OR IGNORE INTO waits VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", wait)
    elif event.type == "extension":
        extension = to_number(event.time), _name(event.container), _name(event.user), _duration(event.more, "seconds")
        connection.execute("INSERT OR IGNORE INTO extensions VALUES (?, ?, ?, ?)", extension)
    elif event.type == "transition" and _is_idle_stop(event):
        stop = _time(event.more, "at"), _name(event.container), _name(event.user)
        connection.execute("INSERT OR IGNORE INTO idle_stops VALUES (?, ?, ?)", stop)
    else:
        return False
    return True


def _is_idle_stop(event: Event) -> bool:
    return event.actor == "tick" and event.more.get("trigger") == "stop" and event.why == "idle"


def _lease_event(event: Event) -> LeaseEvent:
    more = event.more
    change = _text(more, "change")
    if change not in _CHANGES:
        raise _Wrong
    owner = LeaseOwner(
        _text(more, "id"), _name(event.container), _name(event.user), _number(more, "uid"), _text(more, "group"),
        _optional(more, "project"), _text(more, "image"),
    )  # fmt: skip
    slot = LeasedSlot(
        _text(more, "uuid"), _text(more, "slot"), _optional(more, "gpu_uuid"), _text(more, "kind"),
        _optional(more, "profile"),
    )  # fmt: skip
    why = event.why[:_MAX_TEXT] if event.why else None
    rebuilt, corrected = more.get("rebuilt") is True, more.get("corrected") is True
    return LeaseEvent(change, owner, slot, _time(more, "at"), why, rebuilt, corrected)


def _name(value: str | None) -> str:
    return _checked_text(value)


def _text(more: Mapping[str, Any], key: str) -> str:
    return _checked_text(more.get(key))


def _optional(more: Mapping[str, Any], key: str) -> str | None:
    return None if more.get(key) is None else _text(more, key)


def _checked_text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _MAX_TEXT:
        raise _Wrong
    return value.encode("utf-8", "replace").decode()  # SQLite refuses lone surrogates


def _number(more: Mapping[str, Any], key: str) -> int:
    value = more.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _MAX_NUMBER:
        raise _Wrong
    return value


def _duration(more: Mapping[str, Any], key: str) -> int:
    value = more.get(key)
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= _LARGEST_DURATION:
        raise _Wrong
    return round(value * SECOND)


def _time(more: Mapping[str, Any], key: str) -> int:
    try:
        return to_number(parse_time(_text(more, key)))
    except DataError as error:
        raise _Wrong from error
