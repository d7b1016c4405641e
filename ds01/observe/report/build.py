"""Build the report from the rows of a period: what the reader may see, and under which names. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import tzinfo

from ds01.api.seeing.report import Report, ReportBy, ReportRow
from ds01.dataclass import dataclass
from ds01.observe.accounting.rows import PeriodRows
from ds01.observe.accounting.times import to_time
from ds01.observe.report.figures import (
    MILLIJOULES_PER_KWH,
    OTHERS,
    TOTAL,
    EnergyFactors,
    Sums,
    report_row,
    sums_by,
    total_of,
)
from ds01.observe.report.series import report_series
from ds01.policy.model import ReportSettings

PERSONAL = (ReportBy.USER, ReportBy.PROJECT, ReportBy.IMAGE)  # whose names say who somebody is, or what they work on


@dataclass(frozen=True)
class Reader:
    """Who reads a report, if that is no administrator."""

    uid: int
    login: str


def build_report(
    rows: PeriodRows,
    by: ReportBy,
    settings: ReportSettings,
    zone: tzinfo,
    *,
    reader: Reader | None = None,
    anonymous: bool = False,
    problem: str | None = None,
) -> Report:
    """Return the report. `reader` None: an administrator, who sees all rows."""
    factors = EnergyFactors(settings.energy_price, settings.co2_grams_per_kwh)
    if reader is None or by not in PERSONAL:
        named, others = sums_by(rows, by), None
    else:
        named = sums_by(_of_reader(rows, reader, own=True), by)
        others = total_of(sums_by(_of_reader(rows, reader, own=False), by).values())
    ordered = sorted(named.items(), key=lambda item: (-item[1].leased, item[0]))
    if anonymous and by in PERSONAL:
        ordered = [(f"{by.value} {number}", sums) for number, (_, sums) in enumerate(ordered, 1)]
    shown = [*ordered, *([(OTHERS, others)] if others is not None and others != Sums() else [])]
    points, week = report_series(rows, zone)
    return Report(
        by=by,
        since=to_time(rows.since),
        until=to_time(rows.until),
        anonymous=anonymous,
        rows=tuple(report_row(name, sums, by, factors) for name, sums in shown),
        total=_total([sums for _, sums in shown], rows, by, factors),
        points=points,
        week=week,
        gpu_energy_kwh=round(sum(rows.energy.values()) / MILLIJOULES_PER_KWH, 6) if rows.energy else None,
        energy_price=settings.energy_price,
        currency=settings.currency,
        co2_grams_per_kwh=settings.co2_grams_per_kwh,
        slots=rows.slots,
        measured_since=None if rows.measured_since is None else to_time(rows.measured_since),
        problem=problem,
    )


def _total(sums: list[Sums], rows: PeriodRows, by: ReportBy, factors: EnergyFactors) -> ReportRow:
    total = total_of(sums)
    # A container with two GPUs counts for both, and once in the sum.
    total.idle_stops, total.extensions = len(rows.idle_stops), len(rows.extensions)
    return report_row(TOTAL, total, by, factors)


def _of_reader(rows: PeriodRows, reader: Reader, *, own: bool) -> PeriodRows:
    """Return the rows of the reader, or those of all others."""
    return replace(
        rows,
        leases=tuple(lease for lease in rows.leases if (lease.uid == reader.uid) is own),
        waits=tuple(wait for wait in rows.waits if (wait.uid == reader.uid) is own),
        idle_stops=tuple(stop for stop in rows.idle_stops if (stop.user == reader.login) is own),
        extensions=tuple(each for each in rows.extensions if (each.user == reader.login) is own),
        disk={key: size for key, size in rows.disk.items() if (key[0] == reader.uid) is own},
    )
