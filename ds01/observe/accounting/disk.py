"""Disk use by user, as a slow sum of the tick finds it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from datetime import datetime, timedelta

from ds01.dataclass import dataclass
from ds01.observe.accounting.database import Unusable, open_to_write
from ds01.observe.accounting.recorder import transaction
from ds01.observe.accounting.times import day_begin, to_number
from ds01.records.ledger import Ledger
from ds01.system.clock import server_zone

KEPT_IN_FULL = timedelta(days=7)


@dataclass(frozen=True)
class DiskUse:
    """What one user's things of one kind (images, layers, volumes, workspace, …) take on disk."""

    uid: int
    user: str
    kind: str
    bytes: int


def record_disk_use(ledger: Ledger, at: datetime, used: Iterable[DiskUse]) -> str | None:
    """Store what was found at one time; return why that failed, or None. The caller holds the tick's lock.

    After a week, one measurement a day is kept.
    """
    try:
        with closing(open_to_write(ledger.accounting_path)) as connection, transaction(connection):
            connection.executemany(
                "INSERT OR REPLACE INTO disk VALUES (?, ?, ?, ?, ?)",
                [(to_number(at), use.uid, use.user, use.kind, use.bytes) for use in used],
            )
            _thin(connection, to_number(at - KEPT_IN_FULL))
    except (Unusable, sqlite3.Error, OSError) as error:
        return str(error)
    return None


def _thin(connection: sqlite3.Connection, limit: int) -> None:
    times = [row[0] for row in connection.execute("SELECT DISTINCT at FROM disk WHERE at < ? ORDER BY at", (limit,))]
    last_of_day = {day_begin(at, server_zone()): at for at in times}
    connection.executemany("DELETE FROM disk WHERE at = ?", [(at,) for at in set(times) - set(last_of_day.values())])
