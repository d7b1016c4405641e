"""Decide from differences of counters whether a container was active since the last sample. Pure.

If two samples are far apart, it is unknown when the activity happened: whatever exceeds the use of an idle container
in `MAX_GAP` counts as activity now, since a mean over the whole time would hide some minutes of full load.

An unknown counter proves neither activity nor idleness, and is reported. Its last known value is kept: when it can be
read again, the difference covers the whole time in which it could not.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from ds01.dataclass import dataclass
from ds01.policy.model import AutomationRules

MAX_GAP = timedelta(minutes=15)  # between samples further apart, several ticks are missing


@dataclass(frozen=True)
class Sample:
    """What a container had used since its start, at one moment; None: unknown. GPU: percent, at that moment.

    `cpu_at` and `network_at`: when these were read, if earlier than `at`.
    """

    at: datetime
    started_at: datetime | None
    cpu_nanoseconds: int | None = None
    network_bytes: int | None = None
    gpu_percent: float | None = None
    gpu_processes: tuple[int, ...] | None = None
    pid: int | None = None
    cpu_at: datetime | None = None
    network_at: datetime | None = None


@dataclass(frozen=True)
class Activity:
    """What is kept between two samples: the last sample, the last activity, and the conclusion."""

    sample: Sample
    last: datetime | None = None  # the last activity since the start
    state: str = "unknown"  # active, idle, unknown
    why: str | None = None
    begins: bool = False  # unknown only because there is no earlier sample to compare with
    keep_alive: str | None = None  # the KeepAlive of its workspace when an idle stop was due
    gone_since: datetime | None = None  # since when its workspace has been missing


def assess(before: Activity | None, sample: Sample, policies: AutomationRules) -> Activity:
    """Return the activity after the new `sample`."""
    if before is None or before.sample.started_at != sample.started_at:
        return _first_activity(sample, policies)
    previous = before.sample
    if sample.at == previous.at:
        return before
    if sample.at < previous.at:
        # Activity at a time that is now in the future must not keep the container alive until then.
        last = min(before.last, sample.at) if before.last is not None else None
        return Activity(sample, last, "unknown", "the clock went back", begins=True)
    if _counter_went_back(previous.cpu_nanoseconds, sample.cpu_nanoseconds):
        return Activity(sample, sample.at, "unknown", "its counters went back: it was started again", begins=True)
    if previous.cpu_nanoseconds is None:
        cpu = _since_start(sample)  # it could not be read until now
    else:
        cpu = _per_second(previous.cpu_nanoseconds, previous.cpu_at or previous.at, sample.cpu_nanoseconds, sample.at)
    signs = _signs_of_activity(previous, sample, cpu, policies)
    completed = _with_last_known_counters(previous, sample)
    if signs:
        elapsed = sample.at - previous.at
        # Percentages would mislead for a longer time, since all activity counts as if it had happened within MAX_GAP.
        missed = f"it was active in the {elapsed // timedelta(minutes=1)} minutes since the last sample"
        return Activity(completed, sample.at, "active", missed if elapsed > MAX_GAP else ", ".join(signs))
    if cpu is None:
        return Activity(completed, before.last, "unknown", "its CPU time cannot be read")
    return Activity(completed, before.last, "idle", None)


def _first_activity(sample: Sample, policies: AutomationRules) -> Activity:
    """Return the activity after the first sample since a start. If no tick ran for days, earlier work counts too."""
    cpu = _since_start(sample)
    signs = [] if cpu is None else _signs_of_cpu(cpu, policies)
    if signs:
        return Activity(sample, sample.at, "active", f"{signs[0]} since its start")
    return Activity(sample, None, "unknown", "first sample since its start", begins=True)


def _signs_of_activity(previous: Sample, new: Sample, cpu: float | None, policies: AutomationRules) -> list[str]:
    """Return the signs of activity since the last sample, for people."""
    signs = [] if cpu is None else _signs_of_cpu(cpu, policies)
    if new.gpu_percent is not None and new.gpu_percent > policies.idle_gpu_percent:
        signs.append(f"GPU {new.gpu_percent:.0f}%")
    network = _per_second(previous.network_bytes, previous.network_at or previous.at, new.network_bytes, new.at)
    if network is not None and network > policies.idle_network_rate:
        signs.append(f"network {network / 1024:.0f}k/s")
    # An old GPU process proves nothing, since frameworks keep them; a new one does.
    if new.gpu_processes is not None and previous.gpu_processes is not None:
        new_processes = set(new.gpu_processes) - set(previous.gpu_processes)
        signs += [f"a new GPU process ({min(new_processes)})"] if new_processes else []
    return signs


def _since_start(sample: Sample) -> float | None:
    """Return the mean CPU time per second since the start, in nanoseconds."""
    return _per_second(0, sample.started_at or sample.at, sample.cpu_nanoseconds, sample.at)


def _signs_of_cpu(cpu: float, policies: AutomationRules) -> list[str]:
    """Return the sign of CPU activity, if any. `cpu`: nanoseconds per second."""
    percent = cpu / 1e9 * 100
    return [f"CPU {percent:.1f}%"] if percent > policies.idle_cpu_percent else []


def _with_last_known_counters(previous: Sample, new: Sample) -> Sample:
    """Return the new sample, completed by the old one's counters where the new ones are unknown."""
    if new.cpu_nanoseconds is None and previous.cpu_nanoseconds is not None:
        new = replace(new, cpu_nanoseconds=previous.cpu_nanoseconds, cpu_at=previous.cpu_at or previous.at)
    if new.network_bytes is None and previous.network_bytes is not None:
        new = replace(new, network_bytes=previous.network_bytes, network_at=previous.network_at or previous.at)
    if new.gpu_processes is None:
        new = replace(new, gpu_processes=previous.gpu_processes)
    return new


def _counter_went_back(before: int | None, now: int | None) -> bool:
    return before is not None and now is not None and now < before


def _per_second(before: int | None, since: datetime, now: int | None, at: datetime) -> float | None:
    """Return the difference per second; for a longer time, as if all of it had happened within MAX_GAP."""
    seconds = min(at - since, MAX_GAP).total_seconds()
    if before is None or now is None or now < before or seconds <= 0:
        return None
    return (now - before) / seconds
