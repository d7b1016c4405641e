"""What a tick has measured, as rows of the database. Pure.

A tick sees a moment; its measurements stand for the time since the tick before. What is unknown is left out of both,
the amount and the time for which it is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import tzinfo

from ds01.dataclass import dataclass
from ds01.gpus.model import GpuObservation, Slot
from ds01.observe.accounting.times import SECOND, hours_between, share

MAX_GAP = 5400 * SECOND  # a moment says nothing about a longer time before it


@dataclass(frozen=True)
class LeaseInterval:
    """A lease, and the parts of the time since the last tick in which it had its slot, and its container ran."""

    lease: int
    record: str
    uuid: str
    since: int
    until: int
    ran: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class ContainerMeasurement:
    """What the tick has found out about a container. `cpu`: nanoseconds since the start `mark`; None: unknown."""

    state: str  # active, idle, unknown
    cpu: int | None = None
    mark: str = ""


@dataclass(frozen=True)
class Counter:
    """A counter at an earlier tick."""

    at: int
    value: int
    mark: str = ""


@dataclass(frozen=True)
class SampleRow:
    """One row of `samples`; see schema.py for the units."""

    lease: int
    since: int
    until: int
    active: int = 0
    idle: int = 0
    unknown: int = 0
    measured: int = 0
    used: int = 0
    memory: int = 0
    memory_time: int = 0
    cpu: int = 0
    cpu_time: int = 0
    energy: int = 0
    energy_time: int = 0


AMOUNTS = (
    "active", "idle", "unknown", "measured", "used", "memory", "memory_time", "cpu", "cpu_time", "energy",
    "energy_time",
)  # fmt: skip


@dataclass(frozen=True)
class EnergyRow:
    """What a GPU used, in millijoules."""

    gpu_uuid: str
    since: int
    until: int
    energy: int


def sample_leases(
    leases: Iterable[LeaseInterval],
    gpus: GpuObservation,
    containers: Mapping[str, ContainerMeasurement],
    counters: Mapping[str, Counter],
) -> list[SampleRow]:
    """Return activity, utilisation, memory and CPU of the leases. `counters`: the CPU times of the last tick."""
    leases = list(leases)
    slots = {slot.uuid: slot for slot in gpus.slots}
    counts: dict[str, int] = {}
    for lease in leases:
        counts[lease.record] = counts.get(lease.record, 0) + 1
    rows = []
    for lease in leases:
        ran = sum(until - since for since, until in lease.ran)
        measurement = containers.get(lease.record, ContainerMeasurement("unknown"))
        cpu = _cpu_used(measurement, counters.get(lease.record))
        for since, until in lease.ran:
            amounts = {measurement.state: until - since}
            if cpu is not None:
                part = cpu * (until - since) // ran // counts[lease.record]
                amounts |= {"cpu": part // 1000, "cpu_time": until - since}
            amounts |= _slot_amounts(until - since, slots.get(lease.uuid), gpus)
            rows.append(SampleRow(lease.lease, since, until, **amounts))
    return rows


def energy_used(gpus: GpuObservation, counters: Mapping[str, Counter], now: int) -> list[EnergyRow]:
    """Return what each GPU used since the last tick. A counter that went back began at 0 after a restart."""
    rows = []
    for gpu in gpus.gpus:
        before = counters.get(gpu.uuid)
        if before is None or gpu.energy_joules is None or before.at >= now:
            continue
        value = round(gpu.energy_joules * 1000)
        rows.append(EnergyRow(gpu.uuid, before.at, now, value - before.value if value >= before.value else value))
    return rows


def share_energy(leases: Iterable[LeaseInterval], gpus: GpuObservation, energy: Iterable[EnergyRow]) -> list[SampleRow]:
    """Return the leases' shares in the energy of their GPU: by time, and among MIG instances by compute slices."""
    slots = {slot.uuid: slot for slot in gpus.slots}
    by_gpu = {row.gpu_uuid: row for row in energy}
    slices: dict[str, int] = {}
    for slot in gpus.slots:
        slices[slot.gpu_uuid] = slices.get(slot.gpu_uuid, 0) + slot.slices
    rows = []
    for lease in leases:
        if lease.uuid not in slots:
            continue
        slot = slots[lease.uuid]
        row = by_gpu.get(slot.gpu_uuid)
        if row is None:
            continue
        since, until = max(lease.since, row.since), min(lease.until, row.until)
        if since < until:
            part = row.energy * slot.slices // slices[slot.gpu_uuid]
            amount = share(part, since - row.since, until - row.since, row.until - row.since)
            rows.append(SampleRow(lease.lease, since, until, energy=amount, energy_time=until - since))
    return rows


def merge(rows: Iterable[SampleRow]) -> list[SampleRow]:
    """Add up rows of the same lease and time."""
    merged: dict[tuple[int, int, int], SampleRow] = {}
    for row in rows:
        key = (row.lease, row.since, row.until)
        merged[key] = add(merged[key], row) if key in merged else row
    return list(merged.values())


def add(one: SampleRow, other: SampleRow) -> SampleRow:
    """Add up two rows of a lease; the sum covers both times."""
    amounts = {name: getattr(one, name) + getattr(other, name) for name in AMOUNTS}
    return SampleRow(one.lease, min(one.since, other.since), max(one.until, other.until), **amounts)


def cut_sample(row: SampleRow, since: int, until: int) -> SampleRow:
    """Return the part of a row within a period; its amounts are spread evenly over its time."""
    begin, end, total = max(since, row.since) - row.since, min(until, row.until) - row.since, row.until - row.since
    if (begin, end) == (0, total):
        return row
    amounts = {name: share(getattr(row, name), begin, end, total) if begin < end else 0 for name in AMOUNTS}
    return SampleRow(row.lease, row.since + begin, row.since + max(begin, end), **amounts)


def at_full_hours(rows: Iterable[SampleRow], zone: tzinfo) -> list[SampleRow]:
    """Cut rows at the full hours of a zone."""
    return [cut_sample(row, since, until) for row in rows for since, until in hours_between(row.since, row.until, zone)]


def cut_energy(row: EnergyRow, since: int, until: int) -> EnergyRow:
    """Return the part of a row within a period."""
    begin, end, total = max(since, row.since) - row.since, min(until, row.until) - row.since, row.until - row.since
    if (begin, end) == (0, total):
        return row
    amount = share(row.energy, begin, end, total) if begin < end else 0
    return EnergyRow(row.gpu_uuid, row.since + begin, row.since + max(begin, end), amount)


def energy_at_full_hours(rows: Iterable[EnergyRow], zone: tzinfo) -> list[EnergyRow]:
    """Cut rows at the full hours of a zone."""
    return [cut_energy(row, since, until) for row in rows for since, until in hours_between(row.since, row.until, zone)]


def _slot_amounts(length: int, slot: Slot | None, gpus: GpuObservation) -> dict[str, int]:
    """Return utilisation and memory of a slot over a time, as far as they are known."""
    amounts: dict[str, int] = {}
    utilisation = gpus.utilisation_of(slot) if slot is not None else None
    if utilisation is not None:
        percent = min(max(utilisation, 0.0), 100.0)
        amounts |= {"measured": length, "used": round(percent * 1000) * length // 100_000}
    if slot is not None and slot.memory_used_bytes is not None:
        amounts |= {"memory": (slot.memory_used_bytes >> 20) * length // SECOND, "memory_time": length}
    return amounts


def _cpu_used(now: ContainerMeasurement, before: Counter | None) -> int | None:
    """Return the CPU time since the last tick in nanoseconds; None: unknown."""
    if now.cpu is None or before is None or before.mark != now.mark or now.cpu < before.value:
        return None
    return now.cpu - before.value
