"""The sums of a report as tiles, and a table of all rows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from ds01.api.seeing.report import Report, ReportRow
from ds01.pages.charts.figure import number_text
from ds01.pages.markup import Content, Element, element, untrusted
from ds01.pages.report.figures import (
    cost_text,
    count_or_unknown,
    energy_text,
    hours_text,
    used_text,
)
from ds01.pages.tables import card_table
from ds01.pages.texts import count_text, size_text


def summary_section(report: Report) -> Element:
    """Return the sums of the period."""
    return element("section", element("h2", "Summary"), element("div", _tiles(report), class_="tiles"))


def _tiles(report: Report) -> Iterator[Element]:
    total = report.total
    possible = "" if report.slots is None else _share(total.leased, report.slots * (report.until - report.since))
    yield _tile("Leased", hours_text(total.leased), f"{count_text(total.leases, 'lease')}{possible}")
    yield _tile("Used", hours_text(total.used), f"measured for {total.measured:.0%} of the running time")
    yield _tile("Idle", hours_text(total.idle), "running containers that did nothing")
    yield _tile("Held", hours_text(total.held), "by stopped containers")
    if total.waits == 0:
        yield _tile("Waiting", "none", "nobody waited in the queue")
    elif total.waits is not None:
        longest = "" if total.wait_longest is None else f", longest {hours_text(total.wait_longest)}"
        yield _tile("Waiting", hours_text(total.wait_mean), f"mean of {count_text(total.waits, 'wait')}{longest}")
    if total.idle_stops is not None:
        yield _tile("Idle stops", str(total.idle_stops), f"{count_or_unknown(total.extensions)} extensions")
    if report.gpu_energy_kwh is not None:
        yield _tile("Energy", f"{number_text(report.gpu_energy_kwh)} kWh", "of all GPUs, leased or not")
    if report.energy_price is not None:
        yield _tile("Cost of the leases", cost_text(total, report), f"at {report.energy_price} {report.currency}/kWh")
    if report.co2_grams_per_kwh is not None:
        co2 = "unknown" if total.co2_kg is None else f"{number_text(total.co2_kg)} kg"
        yield _tile("CO₂ of the leases", co2, f"at {report.co2_grams_per_kwh:g} g/kWh")


def _share(part: timedelta, whole: timedelta) -> str:
    return f", {part / whole:.0%} of what the GPUs could give" if whole else ""


def _tile(name: str, number: str, text: str) -> Element:
    content = element("p", name, class_="muted"), element("strong", number), element("p", text, class_="muted")
    return element("div", content, class_="tile")


def rows_table(report: Report) -> Element:
    """Return all figures of all rows."""
    columns = list(_columns(report))
    rows = [(untrusted(row.name), *(text for _, text in _cells(row, report, columns))) for row in report.rows]
    return card_table((report.by.value.capitalize().replace("Gpu", "GPU"), *columns), rows)


def _columns(report: Report) -> Iterator[str]:
    """Yield the columns in which at least one row knows something."""
    rows = report.rows
    yield from ("Leased", "Held", "Idle", "Used", "Leases")
    if any(row.waits for row in rows):
        yield "Mean wait"
    if any(row.idle_stops is not None for row in rows):
        yield "Idle stops"
    if any(row.extensions is not None for row in rows):
        yield "Extensions"
    if any(row.energy_kwh is not None for row in rows):
        yield "Energy"
    if report.energy_price is not None:
        yield "Cost"
    if any(row.disk_bytes is not None for row in rows):
        yield "Disk"


def _cells(row: ReportRow, report: Report, columns: list[str]) -> Iterator[tuple[str, Content]]:
    texts = {
        "Leased": hours_text(row.leased),
        "Held": hours_text(row.held),
        "Idle": hours_text(row.idle),
        "Used": used_text(row),
        "Leases": str(row.leases),
        "Mean wait": None if not row.waits else hours_text(row.wait_mean),
        "Idle stops": count_or_unknown(row.idle_stops),
        "Extensions": count_or_unknown(row.extensions),
        "Energy": energy_text(row),
        "Cost": cost_text(row, report),
        "Disk": size_text(row.disk_bytes),
    }
    return ((column, texts[column]) for column in columns)
