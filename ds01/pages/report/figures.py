"""What the figures of a report's row say in hours, and in words."""

from __future__ import annotations

from datetime import timedelta

from ds01.api.seeing.report import Report, ReportRow
from ds01.pages.charts.figure import number_text
from ds01.pages.texts import UNKNOWN


def in_hours(span: timedelta) -> float:
    """Return a duration in hours."""
    return span / timedelta(hours=1)


def hours_text(span: timedelta | None) -> str:
    """Return a duration as `12.5 h`."""
    if span is None:
        return UNKNOWN
    return "below 0.1 h" if 0 < in_hours(span) < 0.05 else f"{number_text(in_hours(span))} h"


def activity_parts(row: ReportRow) -> tuple[tuple[float, float, float], float]:
    """Return the hours in which containers were active, idle, and stopped with slots held; and the unknown rest."""
    running = max(in_hours(row.leased - row.held), 0.0)
    unknown = running * (1 - row.judged) if row.idle is not None else running
    idle = in_hours(row.idle) if row.idle is not None else 0.0
    return (max(running - unknown - idle, 0.0), idle, in_hours(row.held)), unknown


def use_parts(row: ReportRow) -> tuple[tuple[float, float, float], float]:
    """Return the hours of full use, of running without use, and of stopped ones; and those not measured."""
    running = max(in_hours(row.leased - row.held), 0.0)
    measured = running * row.measured if row.used is not None else 0.0
    used = in_hours(row.used) if row.used is not None else 0.0
    return (used, max(measured - used, 0.0), in_hours(row.held)), running - measured


def used_text(row: ReportRow) -> str:
    """Return the used hours, and of which part of the time they were measured."""
    if row.used is None:
        return UNKNOWN
    measured = "" if row.measured > 0.995 else f" (of {row.measured:.0%} of the time)"
    return f"{hours_text(row.used)}{measured}"


def energy_text(row: ReportRow) -> str:
    """Return the energy; `about` if MIG instances share that of their GPU."""
    if row.energy_kwh is None:
        return UNKNOWN
    return f"{'about ' if row.energy_estimated else ''}{number_text(row.energy_kwh)} kWh"


def cost_text(row: ReportRow, report: Report) -> str:
    """Return the cost of the energy."""
    return UNKNOWN if row.cost is None else f"{row.cost:.2f} {report.currency}"


def count_or_unknown(number: int | None) -> str:
    """Return a count."""
    return UNKNOWN if number is None else str(number)
