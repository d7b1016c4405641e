"""A report as CSV. Pure."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

from ds01.api.seeing.report import Report, ReportRow

COLUMNS = (
    "leases", "leased_hours", "held_hours", "idle_hours", "used_hours", "judged", "measured", "waits",
    "wait_mean_minutes", "wait_longest_minutes", "idle_stops", "extensions", "energy_kwh", "energy_estimated", "cost",
    "currency", "co2_kg", "disk_bytes",
)  # fmt: skip


def report_csv(report: Report) -> str:
    """Return the rows and the total as CSV with headings. Unknown figures are empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("since", "until", report.by.value, *COLUMNS))
    for row in (*report.rows, report.total):
        period = (report.since.isoformat(), report.until.isoformat())
        writer.writerow((*period, harmless(row.name), *map(_cell, _values(row, report.currency))))
    return text.getvalue()


def harmless(cell: str) -> str:
    """Return a text that no spreadsheet takes for a formula, without control characters."""
    clean = "".join(letter if letter.isprintable() else "?" for letter in cell)
    return f"'{clean}" if cell.startswith(("=", "+", "-", "@")) or clean[:1] != cell[:1] else clean


def _values(row: ReportRow, currency: str) -> tuple[object, ...]:
    return (
        row.leases, _hours(row.leased), _hours(row.held), _hours(row.idle), _hours(row.used), row.judged, row.measured,
        row.waits, _minutes(row.wait_mean), _minutes(row.wait_longest), row.idle_stops, row.extensions, row.energy_kwh,
        None if row.energy_kwh is None else str(row.energy_estimated).lower(), row.cost,
        None if row.cost is None else harmless(currency), row.co2_kg, row.disk_bytes,
    )  # fmt: skip


def _cell(value: object) -> str:
    return "" if value is None else str(value)


def _hours(length: timedelta | None) -> str | None:
    return None if length is None else f"{length / timedelta(hours=1):.4f}"


def _minutes(length: timedelta | None) -> str | None:
    return None if length is None else f"{length / timedelta(minutes=1):.1f}"
