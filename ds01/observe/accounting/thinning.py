"""Merge old measurements into hours, and older ones into days. The sums stay the same."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from datetime import timedelta, tzinfo

from ds01.observe.accounting.sampling import AMOUNTS, EnergyRow, SampleRow, add
from ds01.observe.accounting.times import day_begin, hour_begin

FULL_RESOLUTION = timedelta(days=7)
HOURLY = timedelta(days=100)
BATCH = 1_500  # rows of one tick: the first one after an upgrade must not take seconds

_OLDEST_SAMPLES = """
SELECT rowid, lease, since, until, active, idle, unknown, measured, used, memory, memory_time, cpu, cpu_time, energy,
    energy_time
FROM samples WHERE level = ? AND since < ? ORDER BY since LIMIT ?
"""
_INSERT_SAMPLE = """
INSERT INTO samples (
    lease, since, until, level, active, idle, unknown, measured, used, memory, memory_time, cpu, cpu_time, energy,
    energy_time
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_OLDEST_ENERGY = """
SELECT rowid, gpu_uuid, since, until, energy FROM energy WHERE level = ? AND since < ? ORDER BY since LIMIT ?
"""
_Begin = Callable[[int, tzinfo], int]
_STEPS: tuple[tuple[int, timedelta, _Begin], ...] = (
    (0, FULL_RESOLUTION, hour_begin),
    (1, HOURLY, day_begin),
)


def thin(connection: sqlite3.Connection, now: int, zone: tzinfo, *, batch: int = BATCH) -> None:
    """Merge what has become old enough, at most `batch` rows of each kind, the oldest first."""
    for level, age, begin in _STEPS:
        limit = begin(now - age // timedelta(microseconds=1), zone)
        _thin_samples(connection, level, limit, begin, zone, batch)
        _thin_energy(connection, level, limit, begin, zone, batch)


def insert_samples(connection: sqlite3.Connection, rows: Sequence[SampleRow], level: int = 0) -> None:
    """Insert rows of measurements."""
    connection.executemany(
        _INSERT_SAMPLE,
        [(row.lease, row.since, row.until, level, *(getattr(row, name) for name in AMOUNTS)) for row in rows],
    )


def insert_energy(connection: sqlite3.Connection, rows: Sequence[EnergyRow], level: int = 0) -> None:
    """Insert the energy that GPUs used."""
    connection.executemany(
        "INSERT INTO energy (gpu_uuid, since, until, level, energy) VALUES (?, ?, ?, ?, ?)",
        [(row.gpu_uuid, row.since, row.until, level, row.energy) for row in rows],
    )


def _thin_samples(
    connection: sqlite3.Connection, level: int, limit: int, begin: _Begin, zone: tzinfo, batch: int
) -> None:
    rows = connection.execute(_OLDEST_SAMPLES, (level, limit, batch)).fetchall()
    merged: dict[tuple[int, int], SampleRow] = {}
    for _, *values in rows:
        row = SampleRow(*values)
        key = (row.lease, begin(row.since, zone))
        merged[key] = add(merged[key], row) if key in merged else row
    connection.executemany("DELETE FROM samples WHERE rowid = ?", [row[:1] for row in rows])
    insert_samples(connection, list(merged.values()), level + 1)


def _thin_energy(
    connection: sqlite3.Connection, level: int, limit: int, begin: _Begin, zone: tzinfo, batch: int
) -> None:
    rows = connection.execute(_OLDEST_ENERGY, (level, limit, batch)).fetchall()
    merged: dict[tuple[str, int], EnergyRow] = {}
    for _, gpu, since, until, energy in rows:
        key = (gpu, begin(since, zone))
        if (old := merged.get(key)) is not None:
            since, until, energy = min(old.since, since), max(old.until, until), old.energy + energy
        merged[key] = EnergyRow(gpu, since, until, energy)
    connection.executemany("DELETE FROM energy WHERE rowid = ?", [row[:1] for row in rows])
    insert_energy(connection, list(merged.values()), level + 1)
