"""The report of each month, which the first tick of the next one writes."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

from ds01.api.seeing.report import ReportBy
from ds01.api.seeing.report_csv import report_csv
from ds01.host.publication import publish_page
from ds01.observe.report.period import report_of_period
from ds01.pages.report.page import report_page
from ds01.policy.model import ReportSettings
from ds01.records.ledger import Ledger
from ds01.system import files
from ds01.system.data import to_json

MODE = 0o644


def write_monthly_report(
    ledger: Ledger, log_directory: Path, settings: ReportSettings, now: datetime, zone: tzinfo, *, server: str
) -> None:
    """Write the files of the last month that are not there: CSV and JSON by user, and the page by everything.

    `server`: its name, for the page. Raises OSError, Ds01Error.
    """
    if settings.monthly is None:
        return
    this_month = now.astimezone(zone).replace(day=1, hour=0, minute=0, second=0, microsecond=0, fold=0)
    last_month = (this_month - timedelta(days=1)).replace(day=1)
    name = f"ds01-report-{last_month:%Y-%m}"
    csv_file, json_file, page_file = (
        Path(settings.monthly) / f"{name}{suffix}" for suffix in (".csv", ".json", ".html")
    )
    if csv_file.exists() and json_file.exists() and page_file.exists():
        return
    reports = [
        report_of_period(ledger, log_directory, settings, (last_month, this_month), by=by, now=now, zone=zone)
        for by in ReportBy
    ]
    if not csv_file.exists():
        files.replace(csv_file, report_csv(reports[0]).encode("utf-8", "replace"), mode=MODE)
    if not json_file.exists():
        content = json.dumps(to_json(reports[0]), ensure_ascii=False).encode("utf-8", "replace")
        files.replace(json_file, content + b"\n", mode=MODE)
    if not page_file.exists():
        publish_page(page_file, report_page(server, reports))
