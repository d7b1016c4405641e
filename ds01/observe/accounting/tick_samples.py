"""Write what a tick has measured into the database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from datetime import datetime, tzinfo
from typing import Any

from ds01.dataclass import dataclass
from ds01.gpus.model import GpuObservation
from ds01.observe.accounting.lease_book import LEASED
from ds01.observe.accounting.sampling import (
    MAX_GAP,
    ContainerMeasurement,
    Counter,
    LeaseInterval,
    at_full_hours,
    energy_at_full_hours,
    energy_used,
    merge,
    sample_leases,
    share_energy,
)
from ds01.observe.accounting.thinning import insert_energy, insert_samples
from ds01.observe.accounting.times import to_number
from ds01.records.record import Record
from ds01.records.state_machine import State
from ds01.system.data import DataError, parse_time

_SAMPLED_AT = "sampled_at"
_STATES = frozenset({"active", "idle", "unknown"})
_ENERGY, _CPU = "energy", "cpu"


@dataclass(frozen=True)
class TickObservation:
    """What a tick has observed: the GPUs, and the running containers with their new activity."""

    at: datetime
    gpus: GpuObservation
    sampled: tuple[Record, ...]


def write_samples(
    connection: sqlite3.Connection, observed: TickObservation, records: Iterable[Record], zone: tzinfo
) -> None:
    """Write the measurements since the last tick. `records`: all records now. The caller has begun a transaction."""
    at = to_number(observed.at)
    before = _sampled_at(connection)
    _write_slots(connection, observed.gpus)
    leased = (record for record in observed.sampled if record.lease is not None)
    measured = {record.id: _measurement(record, before) for record in leased}
    if before is not None and before < at:
        _write_since(connection, observed, measured, records, (before, at), zone)
    _write_counters(connection, observed.gpus, measured, at)
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_SAMPLED_AT, str(at)))


def _write_since(
    connection: sqlite3.Connection,
    observed: TickObservation,
    measured: Mapping[str, ContainerMeasurement],
    records: Iterable[Record],
    period: tuple[int, int],
    zone: tzinfo,
) -> None:
    counters = _counters(connection)
    energy = energy_used(observed.gpus, counters[_ENERGY], period[1])
    earliest = min([period[0], *(row.since for row in energy)])
    leases = _leases(connection, {record.id: record for record in records}, (earliest, period[1]), period[0])
    rows = sample_leases(leases, observed.gpus, measured, counters[_CPU])
    rows += share_energy(leases, observed.gpus, energy)
    insert_samples(connection, at_full_hours(merge(rows), zone))
    insert_energy(connection, energy_at_full_hours(energy, zone))


def _sampled_at(connection: sqlite3.Connection) -> int | None:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (_SAMPLED_AT,)).fetchone()
    return int(row[0]) if row is not None and str(row[0]).isdecimal() else None


def _leases(
    connection: sqlite3.Connection, records: Mapping[str, Record], period: tuple[int, int], sampled_at: int
) -> list[LeaseInterval]:
    """Return the leases within a period; when their containers ran, at most since `sampled_at`."""
    since, until = period
    overlapping = "(l.until IS NULL OR l.until > ?) AND l.since < ?"
    spans: dict[int, list[tuple[int, int | None]]] = {}
    query = "SELECT s.lease, s.since, s.until FROM spans s JOIN leases l ON l.id = s.lease WHERE s.state = ? AND "
    for lease, begin, end in connection.execute(query + overlapping, (LEASED, since, until)):
        spans.setdefault(lease, []).append((begin, end))
    leases = []
    query = "SELECT l.id, l.record, l.uuid, l.since, l.until FROM leases l WHERE "
    for lease, record, uuid, begin, end in connection.execute(query + overlapping, (since, until)).fetchall():
        ran = _when_it_ran(records.get(record), spans.get(lease, []), max(sampled_at, until - MAX_GAP), until)
        leases.append(LeaseInterval(lease, record, uuid, begin, until if end is None else min(end, until), ran))
    return leases


def _when_it_ran(
    record: Record | None, spans: Iterable[tuple[int, int | None]], since: int, until: int
) -> tuple[tuple[int, int], ...]:
    """Return when a container ran: while it was leased and not held, and had been started."""
    if record is not None and record.started_at is None:
        return ()
    ran = []
    for begin, end in spans:
        if end is None and record is not None:
            if record.state is not State.RUNNING or record.started_at is None:
                continue  # a start is in progress
            begin = max(begin, to_number(record.started_at))
        begin, end = max(begin, since), until if end is None else min(end, until)
        if begin < end:
            ran.append((begin, end))
    return tuple(ran)


def _measurement(record: Record, before: int | None) -> ContainerMeasurement:
    """Return what the tick has stored about a container; unknown if that is older than the last tick."""
    sample, state = record.activity.get("sample"), record.activity.get("state")
    if not isinstance(sample, Mapping) or state not in _STATES:
        return ContainerMeasurement("unknown")
    try:
        if before is not None and to_number(parse_time(str(sample.get("at")))) <= before:
            return ContainerMeasurement("unknown")
    except DataError:
        return ContainerMeasurement("unknown")
    cpu: Any = sample.get("cpu_nanoseconds") if sample.get("cpu_at") is None else None
    return ContainerMeasurement(state, cpu if isinstance(cpu, int) else None, str(sample.get("started_at")))


def _counters(connection: sqlite3.Connection) -> dict[str, dict[str, Counter]]:
    counters: dict[str, dict[str, Counter]] = {_ENERGY: {}, _CPU: {}}
    for kind, key, at, value, mark in connection.execute("SELECT kind, key, at, value, mark FROM counters"):
        counters.setdefault(kind, {})[key] = Counter(at, value, mark or "")
    return counters


def _write_counters(
    connection: sqlite3.Connection, gpus: GpuObservation, measured: Mapping[str, ContainerMeasurement], at: int
) -> None:
    """Store the counters for the next tick. An energy counter that cannot be read now keeps its last value."""
    connection.execute("DELETE FROM counters WHERE kind = ?", (_CPU,))
    rows: list[tuple[str, str, int, int, str]] = [
        (_ENERGY, gpu.uuid, at, round(gpu.energy_joules * 1000), "")
        for gpu in gpus.gpus
        if gpu.energy_joules is not None
    ]
    rows += [(_CPU, key, at, found.cpu, found.mark) for key, found in measured.items() if found.cpu is not None]
    connection.executemany("INSERT OR REPLACE INTO counters VALUES (?, ?, ?, ?, ?)", rows)


def _write_slots(connection: sqlite3.Connection, gpus: GpuObservation) -> None:
    """Remember which slots there are; those of a GPU that does not answer stay as they were."""
    if not gpus.slots:
        return
    wanted = {
        (slot.uuid, slot.slot, slot.gpu, slot.gpu_uuid, slot.kind.value, slot.profile, slot.model, slot.slices, 1)
        for slot in gpus.slots
        if slot.unhealthy is None or slot.processes is not None
    }
    found = set(connection.execute("SELECT * FROM slots").fetchall())
    present = {row[0] for row in wanted}
    gone = [row[0] for row in found if row[-1] and row[0] not in present]
    connection.executemany("UPDATE slots SET present = 0 WHERE uuid = ?", [(uuid,) for uuid in gone])
    connection.executemany("INSERT OR REPLACE INTO slots VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", sorted(wanted - found))
