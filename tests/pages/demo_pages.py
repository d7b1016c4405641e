"""The pages of the demo server, by path."""

from __future__ import annotations

from ds01.api.seeing.report import ReportBy
from ds01.pages.report.page import report_page
from ds01.pages.status.page import status_page
from tests.pages.demo import VIEW
from tests.pages.demo_report import demo_report


def demo_pages() -> dict[str, str]:
    """Return the page of the server's state, and that of a month."""
    reports = [demo_report(by) for by in ReportBy]
    return {"/status": status_page(VIEW), "/report": report_page(VIEW.machine.name, reports)}
