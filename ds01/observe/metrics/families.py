"""The metrics of a server as plain data, from its view and the last tick's report. Pure.

What is unknown has no sample: it is never 0. Times are seconds, sizes bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from ds01.api.seeing.server_view import ServerSlot, ServerView
from ds01.dataclass import dataclass
from ds01.observe.accounting.totals import UserTotals
from ds01.observe.metrics.definitions import DEFINITIONS, SLOT_STATES, Definition

Values = tuple[object, ...]  # of a metric's labels, in the order of its definition


@dataclass(frozen=True)
class Sample:
    """One value, with the values of its labels."""

    labels: tuple[str, ...]
    value: float


@dataclass(frozen=True)
class Family:
    """A metric with all of its samples."""

    definition: Definition
    samples: tuple[Sample, ...]


def metric_families(
    view: ServerView, tick: Mapping[str, Any], totals: Iterable[UserTotals], *, version: str
) -> tuple[Family, ...]:
    """Return the metrics of a view; one without a sample is left out.

    `tick`: the content of tick.json, empty if there was no tick. `totals`: from the accounting. `version`: of ds01.
    """
    samples: dict[str, list[Sample]] = {definition.name: [] for definition in DEFINITIONS}
    for name, labels, value in (*_samples(view, tick, version), *_totals(totals)):
        if value is not None:
            samples[name].append(Sample(tuple(_label(label) for label in labels), float(value)))
    return tuple(
        Family(definition, tuple(samples[definition.name])) for definition in DEFINITIONS if samples[definition.name]
    )


def _samples(view: ServerView, tick: Mapping[str, Any], version: str) -> Iterator[tuple[str, Values, float | None]]:
    yield "ds01_up", (), not view.unknown
    yield "ds01_build_info", (version, view.driver), 1
    yield from _slots(view)
    yield from _leases(view)
    yield from _users(view)
    yield "ds01_queue_length", (), len(view.queue)
    waits = [_seconds(view.at, waiter.since) or 0.0 for waiter in view.queue]
    yield "ds01_queue_oldest_wait_seconds", (), max(waits, default=0)
    yield from _tick(view, tick)
    for use in view.disk_use:
        yield "ds01_disk_use_bytes", (use.kind, use.user), use.bytes
        yield "ds01_disk_use_measured_timestamp_seconds", (use.kind, use.user), use.measured_at.timestamp()
    for disk in view.disks:
        yield "ds01_filesystem_size_bytes", (disk.path,), disk.total_bytes
        yield "ds01_filesystem_free_bytes", (disk.path,), disk.free_bytes
    yield from _outside(view)
    yield "ds01_complaints", (), len(view.complaints)


def _slots(view: ServerView) -> Iterator[tuple[str, Values, float | None]]:
    counts: dict[tuple[str, str | None, str], int] = {}
    for slot in view.slots:
        if not view.unknown:  # or some slots are missing, and what seems free may be in use outside
            for state in SLOT_STATES:
                counts.setdefault((slot.kind.value, slot.profile, state), 0)
        elif slot.state in ("free", "busy_outside"):
            continue
        key = (slot.kind.value, slot.profile, slot.state)
        counts[key] = counts.get(key, 0) + 1
    for labels, count in counts.items():
        yield "ds01_slots", labels, count
    for gpu in view.gpus:
        yield "ds01_gpu_healthy", (gpu.index, gpu.uuid, gpu.model), gpu.unhealthy is None


def _leases(view: ServerView) -> Iterator[tuple[str, Values, float | None]]:
    groups = {item.container.container: item.group for item in view.containers}
    stopped = {item.container.container: item.container.stopped_at for item in view.containers}
    for slot in view.slots:
        if slot.state not in ("leased", "held") or slot.container is None:
            continue
        labels = (slot.slot, slot.uuid, slot.gpu, slot.user, groups.get(slot.container), slot.container)
        yield "ds01_lease_info", labels, 1
        yield "ds01_lease_lost", labels, slot.lost if view.driver is not None else None
        yield "ds01_lease_seconds", labels, _seconds(view.at, slot.since)
        yield "ds01_lease_idle_seconds", labels, _idle(slot, stopped.get(slot.container), view.at)
        if slot.state == "held" and slot.until is not None:
            yield "ds01_hold_seconds_left", labels, _seconds(slot.until, view.at)


def _idle(slot: ServerSlot, stopped_at: datetime | None, now: datetime) -> float | None:
    """Return for how long a lease has not been used: 0 while it is, None if that is unknown."""
    if slot.state == "held":
        return _seconds(now, stopped_at)
    if slot.activity == "active":
        return 0
    return _seconds(now, slot.idle_since) if slot.activity == "idle" else None


def _users(view: ServerView) -> Iterator[tuple[str, Values, float | None]]:
    for user in view.users:
        labels = (user.user, user.group)
        yield "ds01_user_slots", labels, user.gpus
        yield "ds01_user_slots_quota", labels, user.gpus_limit
        yield "ds01_user_containers", labels, user.containers
        yield "ds01_user_containers_quota", labels, user.containers_limit
        yield "ds01_user_containers_running", labels, user.running
        yield "ds01_user_waiting", labels, user.waiting
        yield "ds01_user_cpu_cores", labels, None if user.cpu_percent is None else user.cpu_percent / 100
        yield "ds01_user_memory_bytes", labels, user.memory_bytes


def _totals(totals: Iterable[UserTotals]) -> Iterator[tuple[str, Values, float | None]]:
    for each in totals:
        labels = (each.user, each.group)
        yield "ds01_user_lease_seconds_total", labels, each.leased
        yield "ds01_user_held_seconds_total", labels, each.held
        yield "ds01_user_idle_seconds_total", labels, each.idle
        yield "ds01_user_used_seconds_total", labels, each.used


def _tick(view: ServerView, tick: Mapping[str, Any]) -> Iterator[tuple[str, Values, float | None]]:
    last = view.tick
    yield "ds01_tick_age_seconds", (), _seconds(view.at, last.started_at)
    yield "ds01_tick_duration_seconds", (), last.seconds
    yield "ds01_tick_start_timestamp_seconds", (), _timestamp(last.started_at)
    yield "ds01_tick_last_good_timestamp_seconds", (), _timestamp(last.last_good_at)
    for name, key in (("ds01_tick_errors", "errors"), ("ds01_tick_unknown_items", "unknown")):
        items = tick.get(key)
        yield name, (), len(items) if isinstance(items, list) else None
    looked_at = tick.get("looked_at")
    yield "ds01_tick_containers", (), looked_at if isinstance(looked_at, int) else None


def _outside(view: ServerView) -> Iterator[tuple[str, Values, float | None]]:
    if view.unknown:
        return  # without Docker or the GPUs, nobody knows what else uses them
    counts: dict[Values, int] = {}
    for use in view.outside:
        key = (use.slot, use.what, use.who if use.what != "unknown" else None, use.user)
        counts[key] = counts.get(key, 0) + 1
    for labels, count in counts.items():
        yield "ds01_outside_use", labels, count
    yield "ds01_outside_slots", (), len({use.slot for use in view.outside})


def _seconds(end: datetime, begin: datetime | None) -> float | None:
    """Return the seconds between two times, at least 0: a clock may have been set back."""
    return None if begin is None else max(0.0, (end - begin).total_seconds())


def _timestamp(time: datetime | None) -> float | None:
    return None if time is None else time.timestamp()


def _label(value: object) -> str:
    """Return a label's value; what is not printable is replaced, since people read metrics on terminals."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else str(value)
    return "".join(letter if letter.isprintable() else "�" for letter in text)


def names(families: Iterable[Family]) -> set[str]:
    """Return the names of metrics."""
    return {family.definition.name for family in families}
