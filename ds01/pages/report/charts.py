"""The charts of a report, each with a line that says what it shows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from ds01.api.seeing.report import Report, ReportBy, ReportPoint, ReportRow
from ds01.pages.charts.bars import Bar, bar_chart
from ds01.pages.charts.figure import number_text
from ds01.pages.charts.heat_map import heat_map
from ds01.pages.charts.lines import Series, line_chart
from ds01.pages.markup import Element, untrusted
from ds01.pages.report.figures import activity_parts, energy_text, hours_text, in_hours, use_parts
from ds01.system.clock import to_server_zone

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MOST_BARS = 25  # the table below has all rows
TITLES = {
    ReportBy.USER: "Hours by user",
    ReportBy.GROUP: "Hours by group",
    ReportBy.PROJECT: "Hours by project",
    ReportBy.GPU: "Hours by GPU",
    ReportBy.IMAGE: "Hours by image",
}


def leases_chart(report: Report) -> Element:
    """Return how many slots were leased and held over time."""
    points = report.points
    supply = f"; the server has {report.slots} now" if report.slots else ""
    return line_chart(
        "Leased GPUs",
        (
            Series("leased", tuple(point.leased for point in points)),
            Series("of these held by stopped containers", tuple(point.held for point in points)),
        ),
        _labels(points),
        unit="",
        top=float(report.slots) if report.slots and report.slots >= _most(points) else None,
        note=f"Slots in the mean of each {_step(points)}{supply}.",
    )


def utilisation_chart(report: Report) -> Element:
    """Return the utilisation of the leased slots over time."""
    return line_chart(
        "Utilisation",
        (Series("", tuple(point.utilisation for point in report.points)),),
        _labels(report.points),
        unit="%",
        top=100.0,
        note=f"Of the leased slots that could be measured, in the mean of each {_step(report.points)}. It is unknown "
        "where nothing was leased or measured.",
    )


def activity_chart(report: Report) -> Element:
    """Return the leased hours of each row: active, idle, held, and unknown."""
    rows = []
    for row in _longest(report):
        parts, unknown = activity_parts(row)
        rows.append(Bar(untrusted(row.name), parts, hours_text(row.leased), unknown))
    note = (
        "Hours of slots: active and idle as the automation judged the container, held by stopped containers, and "
        "unknown where nothing could be judged."
    )
    names = ("active", "idle", "held")
    return bar_chart(TITLES[report.by], rows, series=names, note=note + _left_out(report))


def use_chart(report: Report) -> Element:
    """Return the leased hours of each row against those used: one hour at 50 % is half an hour."""
    rows = []
    for row in _longest(report):
        parts, unknown = use_parts(row)
        rows.append(Bar(untrusted(row.name), parts, f"{hours_text(row.used)} of {hours_text(row.leased)}", unknown))
    note = (
        "Used is utilisation times time: one hour at 50 % is half an hour. Unknown is what the driver does not "
        "measure, like most MIG instances."
    )
    names = ("used", "running, not used", "held")
    return bar_chart("Leased against used", rows, series=names, note=note)


def week_charts(report: Report) -> tuple[Element, Element]:
    """Return heat maps of the week: leased slots and utilisation by weekday and hour."""
    leased: dict[tuple[int, int], float | None] = {(it.weekday, it.hour): it.leased for it in report.week}
    utilisation = {(it.weekday, it.hour): it.utilisation for it in report.week}
    return (
        _week("The week: leased GPUs", leased, "slots", float(report.slots) if report.slots else None,
              "Slots in the mean of each hour of the week."),
        _week("The week: utilisation", utilisation, "%", 100.0,
              "Of the leased slots that could be measured, in the mean of each hour of the week."),
    )  # fmt: skip


def _week(title: str, values: dict[tuple[int, int], float | None], unit: str, top: float | None, note: str) -> Element:
    known = [value for value in values.values() if value is not None]
    if top is not None and known and max(known) > top:
        top = None
    return heat_map(
        title,
        WEEKDAYS,
        [f"{hour}:00" for hour in range(24)],
        [[values.get((day, hour)) for hour in range(24)] for day in range(7)],
        unit=unit,
        top=top,
        labelled=("0:00", "6:00", "12:00", "18:00", "24:00"),
        note=note,
    )


def waits_chart(report: Report) -> Element | None:
    """Return the mean wait of each row that waited; None if nobody did."""
    waited = sorted((row for row in report.rows if row.waits and row.wait_mean), key=_wait, reverse=True)[:MOST_BARS]
    if not waited:
        return None
    rows = [
        Bar(
            untrusted(row.name),
            (_wait(row),),
            f"{hours_text(row.wait_mean)}, longest {hours_text(row.wait_longest)}",
        )
        for row in waited
    ]
    note = "Mean hours in the queue, also of waits that were given up."
    return bar_chart("Waiting times", rows, note=note)


def energy_chart(report: Report) -> Element | None:
    """Return the energy of each row; None if none is known."""
    known = [row for row in report.rows if row.energy_kwh is not None][:MOST_BARS]
    if not known:
        return None
    rows = [Bar(untrusted(row.name), (row.energy_kwh,), energy_text(row)) for row in known]
    note = "By the counters of the GPUs, the whole period, leased or not."
    return bar_chart("Energy in kWh", rows, note=note)


def _wait(row: ReportRow) -> float:
    return in_hours(row.wait_mean) if row.wait_mean is not None else 0.0


def _longest(report: Report) -> list[ReportRow]:
    return sorted(report.rows, key=lambda row: row.leased, reverse=True)[:MOST_BARS]


def _left_out(report: Report) -> str:
    rest = len(report.rows) - MOST_BARS
    return f" The {number_text(rest)} rows with the fewest hours are in the table only." if rest > 0 else ""


def _most(points: Sequence[ReportPoint]) -> float:
    return max((point.leased for point in points), default=0.0)


def _step(points: Sequence[ReportPoint]) -> str:
    return "hour" if points and points[0].until - points[0].since <= timedelta(hours=1) else "day"


def _labels(points: Sequence[ReportPoint]) -> list[str]:
    """Return the begin, the middle and the end of the period."""
    if not points:
        return []
    return [_label(at) for at in (points[0].since, points[len(points) // 2].since, points[-1].until)]


def _label(at: datetime) -> str:
    return to_server_zone(at).strftime("%d %b %H:%M" if to_server_zone(at).hour else "%d %b")
