"""Keep the leases in the database: from lease events, and corrected by the records.

Events come in the order of the log. Applying one again changes nothing, so a log may be read twice. An event can be
missing (a command was killed, or the disk was full), so the records have the last word about what is leased now.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from ds01.dataclass import dataclass
from ds01.gpus.model import SlotRef
from ds01.observe.accounting.times import to_number
from ds01.records.record import HistoryEntry, Record
from ds01.records.state_machine import State
from ds01.records.store.record_files import UnreadableRecord

LEASED, HELD = "leased", "held"
_WITHOUT_LEASE = (State.STOPPED, State.REMOVED)


@dataclass(frozen=True)
class LeaseOwner:
    """Whose lease it is, as it was when it began."""

    record: str
    container: str
    user: str
    uid: int
    group: str
    project: str | None
    image: str


@dataclass(frozen=True)
class LeasedSlot:
    """The slot of a lease."""

    uuid: str
    slot: str
    gpu_uuid: str | None
    kind: str
    profile: str | None


@dataclass(frozen=True)
class LeaseEvent:
    """A lease event of the log. `at`: in microseconds."""

    change: str  # allocated, held, resumed, released
    owner: LeaseOwner
    slot: LeasedSlot
    at: int
    why: str | None = None
    rebuilt: bool = False
    corrected: bool = False


def apply_event(connection: sqlite3.Connection, event: LeaseEvent) -> None:
    """Apply one event."""
    key = (event.owner.record, event.slot.uuid)
    row = connection.execute(
        "SELECT id, since FROM leases WHERE record = ? AND uuid = ? AND until IS NULL", key
    ).fetchone()
    if row is not None and event.at < row[1] and not event.corrected and not event.rebuilt:
        return  # about an earlier lease: this part of the log was read before
    if event.change == "allocated":
        _allocate(connection, event, row)
    elif row is not None and event.change in ("held", "resumed"):
        _enter(connection, row[0], HELD if event.change == "held" else LEASED, event.at)
    elif row is not None and event.change == "released":
        _close(connection, row[0], event.at, event.why)
    elif event.change == "released" and event.corrected:
        _correct_end(connection, key, event.at)


def sync_with_records(
    connection: sqlite3.Connection,
    entries: Mapping[str, Record | UnreadableRecord],
    removed: Callable[[], Iterable[Record]],
    now: datetime,
) -> None:
    """Make the open leases those of the records. `removed`: read only if something is missing or too much.

    `entries` were read after the events, so that a lease that is only in the events has ended.
    """
    records = {entry.id: entry for entry in entries.values() if isinstance(entry, Record)}
    unreadable = {name for name, entry in entries.items() if not isinstance(entry, Record)}
    wanted = {
        (record.id, ref.uuid): (record, ref)
        for record in records.values()
        for ref in (record.lease.slots if record.lease is not None else ())
    }
    query = "SELECT id, record, uuid, container, slot FROM leases WHERE until IS NULL"
    found: dict[tuple[str, str], tuple[int, str, str, str, str]] = {
        (row[1], row[2]): row for row in connection.execute(query).fetchall()
    }
    over = [row for key, row in found.items() if key not in wanted and row[3] not in unreadable]
    gone = {record.id: record for record in removed()} if any(row[1] not in records for row in over) else {}
    for identity, record_id, *_ in over:
        record = records.get(record_id) or gone.get(record_id)
        _close(connection, identity, _end_in(record, now), "lost: no event says why it ended")
    for key, (record, ref) in wanted.items():
        if key not in found:
            _insert_grants(connection, record, (ref,))
        else:
            _sync_open(connection, found[key], record, ref)


def add_missing(connection: sqlite3.Connection, records: Iterable[Record]) -> None:
    """Add the leases of records that the database does not know at all, from their histories: the log is lost too."""
    known = {row[0] for row in connection.execute("SELECT DISTINCT record FROM leases")}
    for record in records:
        if record.id not in known:
            _insert_grants(connection, record, record.gpus_fixed)


def _allocate(connection: sqlite3.Connection, event: LeaseEvent, row: tuple[int, int] | None) -> None:
    if row is not None and event.corrected:
        connection.execute("UPDATE leases SET since = ? WHERE id = ?", (event.at, row[0]))
        connection.execute("DELETE FROM spans WHERE lease = ?", (row[0],))
        _add_span(connection, row[0], LEASED, event.at)
        return
    if row is not None and (event.rebuilt or row[1] == event.at):
        return
    key = (event.owner.record, event.slot.uuid)
    earlier = connection.execute(
        "SELECT since, until FROM leases WHERE record = ? AND uuid = ? AND until IS NOT NULL", key
    ).fetchall()
    if any(since == event.at and until > event.at for since, until in earlier):
        return  # this part of the log was read before
    if row is not None:
        _close(connection, row[0], event.at, "lost: no event says why it ended")
    begin = event.at
    if event.rebuilt:  # labels only have the time of creation
        begin = max([begin, *(until for _, until in earlier)])
    _insert(connection, event.owner, event.slot, begin)


def _insert(connection: sqlite3.Connection, owner: LeaseOwner, slot: LeasedSlot, since: int) -> int:
    cursor = connection.execute(
        "INSERT INTO leases (record, uuid, slot, gpu_uuid, kind, profile, container, user, uid, user_group, project,"
        " image, since) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            owner.record, slot.uuid, slot.slot, slot.gpu_uuid, slot.kind, slot.profile, owner.container, owner.user,
            owner.uid, owner.group, owner.project, owner.image, since,
        ),
    )  # fmt: skip
    identity = int(cursor.lastrowid or 0)
    _add_span(connection, identity, LEASED, since)
    return identity


def _add_span(connection: sqlite3.Connection, lease: int, state: str, since: int) -> None:
    connection.execute("INSERT INTO spans (lease, state, since) VALUES (?, ?, ?)", (lease, state, since))


def _enter(connection: sqlite3.Connection, lease: int, state: str, at: int) -> None:
    """Begin another state, unless the lease is in it already."""
    span = connection.execute(
        "SELECT rowid, state, since FROM spans WHERE lease = ? AND until IS NULL", (lease,)
    ).fetchone()
    if span is None or span[1] == state:
        return
    at = max(at, span[2])
    connection.execute("UPDATE spans SET until = ? WHERE rowid = ?", (at, span[0]))
    _add_span(connection, lease, state, at)


def _close(connection: sqlite3.Connection, lease: int, at: int, why: str | None) -> None:
    (since,) = connection.execute("SELECT since FROM leases WHERE id = ?", (lease,)).fetchone()
    at = max(at, since)
    connection.execute("UPDATE leases SET until = ?, ended = ? WHERE id = ?", (at, why, lease))
    connection.execute("UPDATE spans SET until = ? WHERE lease = ? AND until IS NULL", (at, lease))
    _clip_spans(connection, lease, at)


def _clip_spans(connection: sqlite3.Connection, lease: int, at: int) -> None:
    connection.execute("UPDATE spans SET since = min(since, ?), until = min(until, ?) WHERE lease = ?", (at, at, lease))


def _correct_end(connection: sqlite3.Connection, key: tuple[str, str], at: int) -> None:
    """Correct the end of the last lease of a slot, which a clock that was ahead had put into the future."""
    last = connection.execute(
        "SELECT id FROM leases WHERE record = ? AND uuid = ? AND until > ? ORDER BY until DESC LIMIT 1", (*key, at)
    ).fetchone()
    if last is not None:
        connection.execute("UPDATE leases SET since = min(since, ?), until = ? WHERE id = ?", (at, at, last[0]))
        _clip_spans(connection, last[0], at)


def _sync_open(
    connection: sqlite3.Connection, row: tuple[int, str, str, str, str], record: Record, ref: SlotRef
) -> None:
    """Correct name and state of an open lease whose last event is missing."""
    if row[4] != ref.slot:
        connection.execute("UPDATE leases SET slot = ? WHERE id = ?", (ref.slot, row[0]))
    if record.state is State.HELD:
        _enter(connection, row[0], HELD, to_number(record.stopped_at or record.last_change))
    elif record.state is State.RUNNING:
        _enter(connection, row[0], LEASED, to_number(record.started_at or record.last_change))


def _end_in(record: Record | None, now: datetime) -> int:
    """Return when the last lease ended according to the record; now if it does not say."""
    grants = _grants(record) if record is not None and record.lease is None else []
    return grants[-1][1][-1][1] if grants else to_number(now)


def _insert_grants(connection: sqlite3.Connection, record: Record, slots: Iterable[SlotRef]) -> None:
    """Insert the leases that follow from a record's history."""
    owner = LeaseOwner(
        record.id, record.container_name, record.user, record.uid, record.group, record.project, record.image
    )
    for ref in slots:
        slot = LeasedSlot(ref.uuid, ref.slot, ref.gpu_uuid, ref.kind.value, ref.profile)
        for since, changes in _grants(record):
            lease = _insert(connection, owner, slot, since)
            for state, at in changes:
                if state is None:
                    _close(connection, lease, at, None)
                else:
                    _enter(connection, lease, state, at)


def _is_unnoticed(start: HistoryEntry, stop: HistoryEntry | None) -> bool:
    """Return whether a start was only found together with the stop that followed it."""
    return stop is not None and stop.to is State.STOPPED and start.actor == stop.actor == "observed"


def _grants(record: Record) -> list[tuple[int, list[tuple[str | None, int]]]]:
    """Return the leases in a record's history: when each began, and its changes (state None: its end).

    What was started outside ds01, and stopped before ds01 looked, got no lease.
    """
    grants: list[tuple[int, list[tuple[str | None, int]]]] = []
    is_open = False
    for step, following in zip(record.history, [*record.history[1:], None], strict=True):
        if step.source is None:
            grants.append((to_number(min(record.created_at, step.at)), []))
            is_open = True
        elif not is_open and step.to not in _WITHOUT_LEASE and not _is_unnoticed(step, following):
            grants.append((to_number(step.at), []))
            is_open = True
        if is_open and step.to in _WITHOUT_LEASE:
            grants[-1][1].append((None, to_number(step.at)))
            is_open = False
        elif is_open:
            grants[-1][1].append((HELD if step.to is State.HELD else LEASED, to_number(step.at)))
    if record.lease is None:
        return [grant for grant in grants if any(state is None for state, _ in grant[1])]
    since = to_number(record.lease.since)
    changes = [change for change in grants[-1][1] if change[1] >= since] if is_open else []
    return [*(grants[:-1] if is_open else grants), (since, changes)]
