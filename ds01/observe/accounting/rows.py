"""Read what the database knows about a period. Sums are made by SQLite: a month has a hundred thousand measurements."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import field

from ds01.dataclass import dataclass
from ds01.observe.accounting.sampling import EnergyRow, SampleRow, add, cut_energy, cut_sample
from ds01.observe.accounting.times import HOUR

_LONGEST_ROW = 26 * HOUR  # measurements are merged into days at most


@dataclass(frozen=True)
class LeaseRow:
    """The lease of a slot. `held`: when the container was stopped and kept the slot; an end of None is open."""

    id: int
    uuid: str
    slot: str
    gpu: str
    kind: str
    container: str
    user: str
    uid: int
    group: str
    project: str | None
    image: str
    since: int
    until: int | None
    held: tuple[tuple[int, int | None], ...] = ()


@dataclass(frozen=True)
class WaitRow:
    """A wait for a GPU that ended at `at`."""

    at: int
    user: str
    uid: int
    group: str
    project: str | None
    image: str | None
    duration: int


@dataclass(frozen=True)
class Incident:
    """An idle stop or an extension."""

    at: int
    container: str
    user: str


@dataclass(frozen=True)
class PeriodRows:
    """Everything about a period, cut at its ends. `measured_since`: the earliest measurement there is."""

    since: int
    until: int
    leases: tuple[LeaseRow, ...] = ()
    samples: Mapping[int, SampleRow] = field(default_factory=dict)  # lease -> the sums of its measurements
    by_hour: Mapping[int, tuple[int, int]] = field(default_factory=dict)  # begin of an hour -> measured, used
    energy: Mapping[str, int] = field(default_factory=dict)  # GPU -> mJ
    waits: tuple[WaitRow, ...] = ()
    idle_stops: tuple[Incident, ...] = ()
    extensions: tuple[Incident, ...] = ()
    disk: Mapping[tuple[int, str], int] = field(default_factory=dict)  # uid and login -> bytes at the end
    slots: int | None = None  # how many the server has now
    measured_since: int | None = None


def read_rows(connection: sqlite3.Connection, since: int, until: int, *, shift: int = 0) -> PeriodRows:
    """Return what is known about a period. `shift`: what the server's zone is ahead of UTC; full hours depend on it."""
    gpus = {uuid: str(gpu) for uuid, gpu in connection.execute("SELECT uuid, gpu FROM slots")}
    gpus |= {uuid: str(gpu) for uuid, gpu in connection.execute("SELECT gpu_uuid, gpu FROM slots")}
    (slots,) = connection.execute("SELECT count(*) FROM slots WHERE present").fetchone()
    (first,) = connection.execute("SELECT min(since) FROM samples").fetchone()
    return PeriodRows(
        since,
        until,
        leases=_leases(connection, since, until, gpus),
        samples=_samples(connection, since, until),
        by_hour=_by_hour(connection, since, until, shift % HOUR),
        energy=_energy(connection, since, until, gpus),
        waits=tuple(
            WaitRow(*row)
            for row in connection.execute(
                "SELECT at, user, uid, user_group, project, image, duration FROM waits WHERE at >= ? AND at < ?",
                (since, until),
            )
        ),
        idle_stops=_incidents(connection, "SELECT at, container, user FROM idle_stops", since, until),
        extensions=_incidents(connection, "SELECT at, container, user FROM extensions", since, until),
        disk=_disk(connection, until),
        slots=slots or None,
        measured_since=first,
    )


def _leases(connection: sqlite3.Connection, since: int, until: int, gpus: Mapping[str, str]) -> tuple[LeaseRow, ...]:
    held: dict[int, list[tuple[int, int | None]]] = {}
    query = (
        "SELECT s.lease, s.since, s.until FROM spans s JOIN leases l ON l.id = s.lease"
        " WHERE s.state = 'held' AND (l.until IS NULL OR l.until > ?) AND l.since < ?"
    )
    for lease, begin, end in connection.execute(query, (since, until)):
        held.setdefault(lease, []).append((begin, end))
    query = (
        "SELECT id, uuid, slot, gpu_uuid, kind, container, user, uid, user_group, project, image, since, until"
        " FROM leases WHERE (until IS NULL OR until > ?) AND since < ? ORDER BY since, id"
    )
    leases = []
    for row in connection.execute(query, (since, until)):
        values = [*row, tuple(held.get(row[0], ()))]
        values[3] = _gpu(row[1], row[2], row[3], gpus)
        leases.append(LeaseRow(*values))
    return tuple(leases)


def _gpu(uuid: str, slot: str, gpu_uuid: str | None, gpus: Mapping[str, str]) -> str:
    """Return the GPU of a slot by its index, or as it was called if the server has it no more."""
    return gpus.get(uuid) or gpus.get(gpu_uuid or "") or slot.partition(":")[0]


def _samples(connection: sqlite3.Connection, since: int, until: int) -> dict[int, SampleRow]:
    sums: dict[int, SampleRow] = {}
    query = (
        "SELECT lease, min(since), max(until), sum(active), sum(idle), sum(unknown), sum(measured), sum(used),"
        " sum(memory), sum(memory_time), sum(cpu), sum(cpu_time), sum(energy), sum(energy_time) FROM samples"
        " WHERE since >= ? AND since < ? AND until <= ? GROUP BY lease"
    )
    rows = [SampleRow(*row) for row in connection.execute(query, (since, until, until))]
    query = (
        "SELECT lease, since, until, active, idle, unknown, measured, used, memory, memory_time, cpu, cpu_time,"
        " energy, energy_time FROM samples WHERE since > ? AND since < ? AND until > ?"
    )
    cut = {}
    for border in (since, until):
        for row in connection.execute(query, (border - _LONGEST_ROW, border, border)):
            whole = SampleRow(*row)
            cut[whole.lease, whole.since, whole.until] = cut_sample(whole, since, until)
    for part in [*rows, *cut.values()]:
        sums[part.lease] = add(sums[part.lease], part) if part.lease in sums else part
    return sums


def _by_hour(connection: sqlite3.Connection, since: int, until: int, shift: int) -> dict[int, tuple[int, int]]:
    query = (
        "SELECT (since + ?) / ? AS hour, sum(measured), sum(used) FROM samples"
        " WHERE since >= ? AND since < ? AND level < 2 GROUP BY hour"
    )
    rows = connection.execute(query, (shift, HOUR, since, until))
    return {hour * HOUR - shift: (measured, used) for hour, measured, used in rows}


def _energy(connection: sqlite3.Connection, since: int, until: int, gpus: Mapping[str, str]) -> dict[str, int]:
    sums: dict[str, int] = {}
    query = "SELECT gpu_uuid, since, until, energy FROM energy WHERE since > ? AND since < ? AND until > ?"
    for row in connection.execute(query, (since - _LONGEST_ROW, until, since)):
        part = cut_energy(EnergyRow(*row), since, until)
        gpu = gpus.get(part.gpu_uuid, part.gpu_uuid)
        sums[gpu] = sums.get(gpu, 0) + part.energy
    return sums


def _incidents(connection: sqlite3.Connection, query: str, since: int, until: int) -> tuple[Incident, ...]:
    rows = connection.execute(f"{query} WHERE at >= ? AND at < ?", (since, until))
    return tuple(Incident(*row) for row in rows)


def _disk(connection: sqlite3.Connection, until: int) -> dict[tuple[int, str], int]:
    """Return what each user took at the last measurement before a time."""
    query = "SELECT uid, user, sum(bytes) FROM disk WHERE at = (SELECT max(at) FROM disk WHERE at < ?) GROUP BY uid"
    return {(uid, user): size for uid, user, size in connection.execute(query, (until,))}
