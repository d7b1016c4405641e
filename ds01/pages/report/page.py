"""The whole page of a period."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ds01.api.seeing.report import Report, ReportBy
from ds01.pages.markup import Content, Element, element, untrusted
from ds01.pages.report.charts import (
    activity_chart,
    energy_chart,
    leases_chart,
    use_chart,
    utilisation_chart,
    waits_chart,
    week_charts,
)
from ds01.pages.report.summary import rows_table, summary_section
from ds01.pages.shell import render_page
from ds01.pages.texts import full_moment
from ds01.system.clock import to_server_zone


def report_page(server: str, reports: Sequence[Report]) -> str:
    """Return the page of a period, from its reports by user and by whatever else it shall show; at least one."""
    first = reports[0]
    header = element(
        "header",
        element("h1", f"GPU use of {server}"),
        element("p", full_moment(first.since), " to ", full_moment(first.until), class_="made"),
        element("p", "Users, projects and images are numbers.", class_="made") if first.anonymous else None,
    )
    title = f"{server}: {to_server_zone(first.since):%Y-%m-%d} to {to_server_zone(first.until):%Y-%m-%d}"
    return render_page(title, header, element("main", _main(reports)), _footer(first))


def _main(reports: Sequence[Report]) -> Iterator[Content]:
    first = reports[0]
    if first.problem is not None:
        yield element(
            "div", element("p", "Only leases are known: ", untrusted(first.problem)), class_="box", role="note"
        )
    yield summary_section(first)
    if not first.rows:
        yield element("p", "No GPU was leased in this period.")
        return
    yield element("section", element("h2", "Over time"), leases_chart(first), utilisation_chart(first))
    yield element("section", element("h2", "By the hour of the week"), week_charts(first))
    for report in reports:
        if report.rows:
            yield _rows_section(report)


def _rows_section(report: Report) -> Element:
    charts: list[Element | None] = [activity_chart(report)]
    if report.by in (ReportBy.USER, ReportBy.GROUP):
        charts.append(use_chart(report))
    if report.by is ReportBy.USER:
        charts.append(waits_chart(report))
    if report.by is ReportBy.GPU:
        charts.append(energy_chart(report))
    name = "GPU" if report.by is ReportBy.GPU else report.by.value
    return element("section", element("h2", f"By {name}"), charts, rows_table(report))


def _footer(report: Report) -> Element:
    measured = (
        element("p", "Nothing was measured: only leases are known.")
        if report.measured_since is None
        else element("p", "Measured since ", full_moment(report.measured_since), "; before, only leases are known.")
    )
    return element(
        "footer",
        measured,
        element(
            "p",
            "All hours are hours of slots: a slot is a whole GPU or one MIG instance, and two slots for an hour are "
            "two hours. “Unknown” is what could not be measured or judged: it is not zero, and neither idle nor used.",
        ),
    )
