"""Read the report of a period: from a copy of the database, brought up to date with the log and the records."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

from ds01.api.seeing.report import Report, ReportBy
from ds01.errors import Ds01Error
from ds01.observe.accounting.database import copy_to_memory
from ds01.observe.accounting.recorder import bring_up_to_date, transaction
from ds01.observe.accounting.rows import PeriodRows, read_rows
from ds01.observe.accounting.times import to_number, to_time
from ds01.observe.report.build import Reader, build_report
from ds01.policy.model import ReportSettings
from ds01.records.ledger import Ledger


def read_period(
    ledger: Ledger, log_directory: Path, since: datetime, until: datetime, now: datetime, zone: tzinfo
) -> tuple[PeriodRows, str | None]:
    """Return the rows of a period, and why only leases are known, if so. The leases are exact up to now."""
    memory, problem = copy_to_memory(ledger.accounting_path)
    with closing(memory):
        try:
            with transaction(memory):
                bring_up_to_date(memory, ledger, log_directory, now)
            offset = to_time(to_number(since)).astimezone(zone).utcoffset() or timedelta(0)
            shift = offset // timedelta(microseconds=1)
            rows = read_rows(memory, to_number(since), to_number(min(until, now)), shift=shift)
        except (sqlite3.Error, OSError) as error:
            raise Ds01Error("the report cannot be made", why=f"{ledger.accounting_path}: {error}") from error
    return rows, None if problem is None else f"{ledger.accounting_path}: {problem}"


def report_of_period(
    ledger: Ledger,
    log_directory: Path,
    settings: ReportSettings,
    period: tuple[datetime, datetime],
    *,
    by: ReportBy,
    now: datetime,
    zone: tzinfo,
    reader: Reader | None = None,
    anonymous: bool = False,
) -> Report:
    """Return the report of a period. Raises Ds01Error."""
    rows, problem = read_period(ledger, log_directory, *period, now, zone)
    return build_report(rows, by, settings, zone, reader=reader, anonymous=anonymous, problem=problem)
