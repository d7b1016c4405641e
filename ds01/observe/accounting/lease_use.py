"""Read what was used of the current lease of one container."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path

from ds01.api.seeing.operations import SlotUse
from ds01.dataclass import dataclass
from ds01.observe.accounting.database import Unusable, open_to_read
from ds01.observe.accounting.times import SECOND, duration, to_number, to_time

# Measurements of another time than the lease's, and those without a known utilisation, such as energy alone, are left
# out. The time comes first, since it is what the table is sorted by.
_QUERY = """
SELECT l.uuid, count(*), sum(s.measured), sum(s.used),
    max(CASE WHEN s.memory_time > 0 THEN s.memory * 1.0 / s.memory_time END)
FROM leases l JOIN samples s ON s.since >= max(l.since, ?) AND s.lease = l.id
WHERE l.record = ? AND l.until IS NULL AND s.measured > 0
GROUP BY l.uuid
"""

# The samples of the last days only: with 56 slots, those of a week would take longer to read than the rest of a view.
# Summed before they are joined, or SQLite searches them once for each lease.
_PERCENTAGES = """
SELECT l.record, l.uuid, 100.0 * s.used / s.measured
FROM (
    SELECT lease, sum(used) AS used, sum(measured) AS measured FROM samples
    WHERE since >= (SELECT max(since) FROM samples) - ? AND measured > 0
    GROUP BY lease
) s JOIN leases l ON l.id = s.lease
WHERE l.until IS NULL
"""
_RECENT = """
SELECT l.uuid, l.user, s.since, s.until, s.measured, s.used
FROM samples s JOIN leases l ON l.id = s.lease
WHERE s.since >= ? AND s.level = 0
ORDER BY s.since
"""
LOOKS_BACK = timedelta(days=3)


@dataclass(frozen=True)
class LeaseUse:
    """What was measured of one slot. `peak_memory_bytes`: the most of all measurements; None: unknown."""

    samples: int
    measured: timedelta
    utilisation_percent: float
    peak_memory_bytes: int | None


def read_lease_use(path: Path, record: str, since: datetime) -> Mapping[str, LeaseUse]:
    """Return the use of the slots of a record's lease by UUID, since its beginning or a later time.

    Empty if nothing was measured, or nothing can be read.
    """
    try:
        with closing(open_to_read(path)) as connection:
            rows = connection.execute(_QUERY, (to_number(since), record)).fetchall()
    except (Unusable, sqlite3.Error):
        return {}
    return {
        uuid: LeaseUse(
            count,
            duration(measured),
            100 * used / measured,
            None if memory is None else round(memory * SECOND) << 20,
        )
        for uuid, count, measured, used, memory in rows
    }


def read_utilisation_of_leases(path: Path) -> Mapping[tuple[str, str], float]:
    """Return the mean utilisation of all current leases by record and UUID: since they began, in the last 3 days.

    Empty if nothing was measured, or nothing can be read. The database is read again when a tick has written it.
    """
    try:
        status = path.stat()
    except OSError:
        return {}
    return _read_utilisation(path, status.st_ino, status.st_mtime_ns)


@lru_cache(maxsize=1)
def _read_utilisation(path: Path, inode: int, written: int) -> Mapping[tuple[str, str], float]:
    try:
        with closing(open_to_read(path)) as connection:
            rows = connection.execute(_PERCENTAGES, (LOOKS_BACK // timedelta(microseconds=1),)).fetchall()
    except (Unusable, sqlite3.Error):
        return {}
    return {(record, uuid): percent for record, uuid, percent in rows}


def read_recent_use(path: Path, since: datetime) -> tuple[SlotUse, ...]:
    """Return what each tick measured of each leased slot since a time. Empty if nothing can be read."""
    try:
        with closing(open_to_read(path)) as connection:
            rows = connection.execute(_RECENT, (to_number(since),)).fetchall()
    except (Unusable, sqlite3.Error):
        return ()
    return tuple(
        SlotUse(uuid, user, to_time(begin), to_time(end), 100 * used / measured if measured else None)
        for uuid, user, begin, end, measured, used in rows
    )
