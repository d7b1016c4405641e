"""Bring the database up to date after a tick. Whatever goes wrong with it costs history, never the tick."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime, tzinfo
from pathlib import Path

from ds01.dataclass import dataclass
from ds01.observe.accounting.database import Unusable, as_unusable, move_aside, open_to_write
from ds01.observe.accounting.ingest import has_read_log, ingest
from ds01.observe.accounting.lease_book import add_missing, sync_with_records
from ds01.observe.accounting.thinning import thin
from ds01.observe.accounting.tick_samples import TickObservation, write_samples
from ds01.observe.accounting.times import to_number
from ds01.records.entries import readable
from ds01.records.ledger import Ledger
from ds01.records.record import Record

EVENTS = "events.jsonl"


@dataclass(frozen=True)
class AccountingProblem:
    """What was wrong with the database. `moved`: it was moved aside, and a new one is made from logs and records."""

    why: str
    moved: bool


def record_tick(
    ledger: Ledger, log_directory: Path, observed: TickObservation | None, now: datetime, zone: tzinfo
) -> AccountingProblem | None:
    """Write events, leases and measurements. `observed` None: the tick saw nothing. Never raises."""
    path = ledger.accounting_path
    try:
        with closing(open_to_write(path)) as connection, transaction(connection):
            records = bring_up_to_date(connection, ledger, log_directory, now)
            if observed is not None:
                write_samples(connection, observed, records, zone)
            thin(connection, to_number(now), zone)
    except Unusable as error:
        return _give_up(path, error, now)
    except (sqlite3.Error, OSError) as error:
        return _give_up(path, as_unusable(error), now)
    except Exception as error:  # such as a value that a future version wrote
        return AccountingProblem(f"{path}: {type(error).__name__}: {error}", moved=False)
    return None


def bring_up_to_date(
    connection: sqlite3.Connection, ledger: Ledger, log_directory: Path, now: datetime
) -> list[Record]:
    """Apply the events since the last time, then what only the records know; return the records."""
    is_new = not has_read_log(connection)
    ingest(connection, log_directory / EVENTS)
    entries = ledger.read()  # after the events: what is only in them has ended
    records = readable(entries)
    if is_new:
        add_missing(connection, [*records, *ledger.removed()])
    sync_with_records(connection, entries, ledger.removed, now)
    return records


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Write all or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _give_up(path: Path, error: Unusable, now: datetime) -> AccountingProblem:
    if not error.lost:
        return AccountingProblem(f"{path}: {error}; nothing was written to it in this pass", moved=False)
    aside = move_aside(path, f"{now:%Y%m%dT%H%M%SZ}")
    where = f"it is now {aside.name}" if aside is not None else "it cannot be renamed"
    return AccountingProblem(f"{path}: {error}; {where}", moved=aside is not None)
