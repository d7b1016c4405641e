"""Add up the figures of a period by user, group, project, GPU or image. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import field
from datetime import timedelta

from ds01.api.seeing.report import ReportBy, ReportRow
from ds01.dataclass import dataclass
from ds01.observe.accounting.rows import Incident, LeaseRow, PeriodRows, WaitRow
from ds01.observe.accounting.times import SECOND, duration

MILLIJOULES_PER_KWH = 3_600_000_000
TOTAL, OTHERS, UNKNOWN = "total", "others", "(none)"


@dataclass(frozen=True)
class EnergyFactors:
    """What a kilowatt hour costs, and the CO2 that it stands for; None: not stated in the policy."""

    price: float | None = None
    co2_grams: float | None = None


@dataclass
class Sums:
    """What is added up for one row, in microseconds and millijoules."""

    leases: int = 0
    leased: int = 0
    held: int = 0
    idle: int = 0
    judged: int = 0
    used: int = 0
    measured: int = 0
    waits: list[int] = field(default_factory=list)
    idle_stops: int = 0
    extensions: int = 0
    energy: int | None = None
    estimated: bool = False
    disk: int | None = None

    def add(self, other: Sums) -> None:
        """Add another row."""
        for name in ("leases", "leased", "held", "idle", "judged", "used", "measured", "idle_stops", "extensions"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.waits += other.waits
        self.add_energy(other.energy, estimated=other.estimated)
        if other.disk is not None:
            self.disk = (self.disk or 0) + other.disk

    def add_energy(self, energy: int | None, *, estimated: bool) -> None:
        """Add energy, if it is known."""
        if energy is not None:
            self.energy = (self.energy or 0) + energy
            self.estimated = self.estimated or estimated


def sums_by(rows: PeriodRows, by: ReportBy) -> dict[str, Sums]:
    """Return the sums by name."""
    sums: dict[str, Sums] = {}

    def of(name: str) -> Sums:
        return sums.setdefault(name, Sums())

    for lease in rows.leases:
        _add_lease(of(_name_of_lease(lease, by)), lease, rows, with_energy=by is not ReportBy.GPU)
    if by is ReportBy.GPU:
        for gpu, energy in rows.energy.items():
            of(gpu).add_energy(energy, estimated=False)
    else:
        for wait in rows.waits:
            of(_name_of_wait(wait, by)).waits.append(wait.duration)
    find = _lease_finder(rows.leases)
    for incident in rows.idle_stops:
        for name in _names_of_incident(incident, by, find):
            of(name).idle_stops += 1
    for incident in rows.extensions:
        for name in _names_of_incident(incident, by, find):
            of(name).extensions += 1
    if by is ReportBy.USER:
        for (_, user), size in rows.disk.items():
            of(user).disk = size
    return sums


def report_row(name: str, sums: Sums, by: ReportBy, factors: EnergyFactors) -> ReportRow:
    """Return the row of sums. What was never measured is unknown, and not 0."""
    ran = sums.leased - sums.held
    kwh = None if sums.energy is None else sums.energy / MILLIJOULES_PER_KWH
    counted = by is not ReportBy.GPU
    return ReportRow(
        name=name,
        leases=sums.leases,
        leased=duration(sums.leased),
        held=duration(sums.held),
        idle=duration(sums.idle) if sums.judged or not ran else None,
        used=duration(sums.used) if sums.measured or not ran else None,
        judged=_fraction(sums.judged, ran),
        measured=_fraction(sums.measured, ran),
        waits=len(sums.waits) if counted else None,
        wait_mean=_mean(sums.waits) if counted else None,
        wait_longest=duration(max(sums.waits)) if counted and sums.waits else None,
        idle_stops=sums.idle_stops,
        extensions=sums.extensions,
        energy_kwh=None if kwh is None else round(kwh, 6),
        energy_estimated=sums.estimated,
        cost=None if kwh is None or factors.price is None else round(kwh * factors.price, 4),
        co2_kg=None if kwh is None or factors.co2_grams is None else round(kwh * factors.co2_grams / 1000, 4),
        disk_bytes=sums.disk,
    )


def total_of(sums: Iterable[Sums]) -> Sums:
    """Return the sum of all rows."""
    total = Sums()
    for each in sums:
        total.add(each)
    return total


def overlap(since: int, until: int | None, period: PeriodRows) -> int:
    """Return how much of a time lies in the period; an open one lasts until its end."""
    end = period.until if until is None else min(until, period.until)
    return max(0, end - max(since, period.since))


def _add_lease(sums: Sums, lease: LeaseRow, rows: PeriodRows, *, with_energy: bool) -> None:
    sums.leases += 1
    sums.leased += overlap(lease.since, lease.until, rows)
    sums.held += sum(overlap(since, until, rows) for since, until in lease.held)
    sample = rows.samples.get(lease.id)
    if sample is None:
        return
    sums.idle += sample.idle
    sums.judged += sample.active + sample.idle
    sums.used += sample.used
    sums.measured += sample.measured
    if with_energy and sample.energy_time:
        sums.add_energy(sample.energy, estimated=lease.kind != "full")


def _name_of_lease(lease: LeaseRow, by: ReportBy) -> str:
    if by is ReportBy.USER:
        return lease.user
    if by is ReportBy.GROUP:
        return lease.group or UNKNOWN
    if by is ReportBy.PROJECT:
        return lease.project or UNKNOWN
    return lease.gpu if by is ReportBy.GPU else lease.image


def _name_of_wait(wait: WaitRow, by: ReportBy) -> str:
    if by is ReportBy.USER:
        return wait.user
    if by is ReportBy.GROUP:
        return wait.group or UNKNOWN
    return (wait.project if by is ReportBy.PROJECT else wait.image) or UNKNOWN


def _names_of_incident(incident: Incident, by: ReportBy, find: Callable[[Incident], list[LeaseRow]]) -> set[str]:
    """Return the rows that an idle stop or extension belongs to; a container without a GPU only has a user."""
    if by is ReportBy.USER:
        return {incident.user}
    return {_name_of_lease(lease, by) for lease in find(incident)} or {UNKNOWN}


def _lease_finder(leases: Iterable[LeaseRow]) -> Callable[[Incident], list[LeaseRow]]:
    by_container: dict[str, list[LeaseRow]] = {}
    for lease in leases:
        by_container.setdefault(lease.container, []).append(lease)

    def find(incident: Incident) -> list[LeaseRow]:
        """Return the leases that a container had at a time: an idle stop may end them in the same moment."""
        near = incident.at - SECOND
        candidates = by_container.get(incident.container, [])
        return [
            lease for lease in candidates if lease.since <= incident.at and (lease.until is None or lease.until >= near)
        ]

    return find


def _fraction(part: int, whole: int) -> float:
    return round(min(part / whole, 1.0), 4) if whole > 0 else 0.0


def _mean(durations: list[int]) -> timedelta | None:
    return duration(sum(durations) // len(durations)) if durations else None
