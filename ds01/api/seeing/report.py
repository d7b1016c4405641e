"""The report of who leased and used what, as plain data. Field names are JSON keys that scripts rely on."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum
from typing import ClassVar

from ds01.api.operation import Access, Operation
from ds01.dataclass import dataclass


class ReportBy(str, Enum):
    """What a row of the report is about."""

    USER = "user"
    GROUP = "group"
    PROJECT = "project"
    GPU = "gpu"
    IMAGE = "image"


@dataclass(frozen=True)
class ReportRow:
    """The figures of one user, group, project, GPU or image. None: unknown, or not of this kind.

    Times are of slots: two slots for an hour are two hours, whether whole GPUs or MIG instances. `judged` and
    `measured` say for which part of the time that is leased and not held (0 to 1) activity and utilisation are known.
    """

    name: str
    leases: int
    leased: timedelta
    held: timedelta  # of it, by stopped containers
    idle: timedelta | None  # running, and judged idle
    used: timedelta | None  # utilisation times time
    judged: float
    measured: float
    waits: int | None
    wait_mean: timedelta | None
    wait_longest: timedelta | None
    idle_stops: int | None
    extensions: int | None
    energy_kwh: float | None
    energy_estimated: bool  # MIG instances share the energy of their GPU by size
    cost: float | None
    co2_kg: float | None
    disk_bytes: int | None


@dataclass(frozen=True)
class ReportPoint:
    """A part of the period: how many slots were leased and held in the mean, and their utilisation in percent."""

    since: datetime
    until: datetime
    leased: float
    held: float
    utilisation: float | None


@dataclass(frozen=True)
class ReportHour:
    """An hour of the week in the server's zone, as ReportPoint. `weekday`: 0 is Monday."""

    weekday: int
    hour: int
    leased: float
    utilisation: float | None


@dataclass(frozen=True)
class Report:
    """The report of a period. `until` is at most now.

    `gpu_energy_kwh`: of all GPUs, leased or not. `slots`: how many the server has now. `measured_since`: when the
    earliest measurement was made; before, only leases are known. `problem`: why nothing but leases is known.
    """

    by: ReportBy
    since: datetime
    until: datetime
    anonymous: bool
    rows: tuple[ReportRow, ...]
    total: ReportRow
    points: tuple[ReportPoint, ...]
    week: tuple[ReportHour, ...]
    gpu_energy_kwh: float | None
    energy_price: float | None
    currency: str
    co2_grams_per_kwh: float | None
    slots: int | None
    measured_since: datetime | None
    problem: str | None


@dataclass(frozen=True)
class GetReport(Operation[Report]):
    """Return the report of a period, exact up to now. Raises UsageError.

    Administrators see all rows. Other users see those of groups and GPUs, and their own rows among those of users,
    projects and images; the remaining ones are summed up in one row.
    `anonymous`: numbers in place of the names of users, projects and images.
    """

    access: ClassVar[Access] = Access.EVERYBODY  # the handler leaves out what the actor may not see
    since: datetime
    until: datetime
    by: ReportBy = ReportBy.USER
    anonymous: bool = False
