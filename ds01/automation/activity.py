"""Whether a container did something since the last look: differences of counters. Pure.

Between two looks far apart nobody knows when something was done: whatever is more than an idle container does in
`GAP` counts as activity now, where a mean over the whole time would hide some minutes of full load.

An unknown counter proves neither activity nor idleness, and is said. Its last known value is kept: when it can be read
again, the difference counts for the whole time in which it could not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ds01.policy.model import AutomationRules

MAX_GAP = timedelta(minutes=15)  # looks that are further apart have missed several ticks


@dataclass(frozen=True)
class Sample:
    """What a container had used at one moment since its start; None is unknown. GPU in percent, now.

    `cpu_at` and `network_at`: when these were read, if that was before `at`.
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
    """What is kept between two looks: the last sample, when something was last done, and what was seen."""

    sample: Sample
    last: datetime | None = None  # the last activity since the start
    state: str = "unknown"  # active, idle, unknown
    why: str | None = None
    begins: bool = False  # unknown only since there is nothing yet to compare it with: the next look knows
    keep_alive: str | None = None  # what its workspace said when an idle stop was due: absent, kept, unknown, gone
    gone_since: datetime | None = None  # since when its workspace has not been there


def assess(before: Activity | None, sample: Sample, policies: AutomationRules) -> Activity:
    """The activity after one more look, which shows `sample`."""
    if before is None or before.sample.started_at != sample.started_at:
        return _first_activity(sample, policies)
    previous = before.sample
    if sample.at == previous.at:
        return before
    if sample.at < previous.at:
        # What was seen in a future that did not come must not keep it alive until then.
        last = min(before.last, sample.at) if before.last is not None else None
        return Activity(sample, last, "unknown", "the clock went back", begins=True)
    if _counter_went_back(previous.cpu_nanoseconds, sample.cpu_nanoseconds):
        return Activity(sample, sample.at, "unknown", "its counters went back: it was started anew", begins=True)
    if previous.cpu_nanoseconds is None:
        cpu = _since_start(sample)  # it could not be read until now
    else:
        cpu = _per_second(previous.cpu_nanoseconds, previous.cpu_at or previous.at, sample.cpu_nanoseconds, sample.at)
    signs = _signs_of_activity(previous, sample, cpu, policies)
    completed = _with_last_known_counters(previous, sample)
    if signs:
        elapsed = sample.at - previous.at
        # Percentages of a longer time would mislead: all of it counts as if it had come within GAP.
        missed = f"it did something in the {elapsed // timedelta(minutes=1)} minutes since the last look"
        return Activity(completed, sample.at, "active", missed if elapsed > MAX_GAP else ", ".join(signs))
    if cpu is None:
        return Activity(completed, before.last, "unknown", "its CPU time cannot be read")
    return Activity(completed, before.last, "idle", None)


def _first_activity(sample: Sample, policies: AutomationRules) -> Activity:
    """The first look since a start. It may come late, when no tick ran for days: work until then is no idleness."""
    cpu = _since_start(sample)
    signs = [] if cpu is None else _signs_of_cpu(cpu, policies)
    if signs:
        return Activity(sample, sample.at, "active", f"{signs[0]} since its start")
    return Activity(sample, None, "unknown", "first look since its start", begins=True)


def _signs_of_activity(previous: Sample, new: Sample, cpu: float | None, policies: AutomationRules) -> list[str]:
    """What was done since the last look, for people."""
    signs = [] if cpu is None else _signs_of_cpu(cpu, policies)
    if new.gpu_percent is not None and new.gpu_percent > policies.idle_gpu_percent:
        signs.append(f"GPU {new.gpu_percent:.0f}%")
    network = _per_second(previous.network_bytes, previous.network_at or previous.at, new.network_bytes, new.at)
    if network is not None and network > policies.idle_network_rate:
        signs.append(f"network {network / 1024:.0f}k/s")
    # An old GPU process proves nothing, frameworks keep them; a new one does.
    if new.gpu_processes is not None and previous.gpu_processes is not None:
        new_processes = set(new.gpu_processes) - set(previous.gpu_processes)
        signs += [f"a new GPU process ({min(new_processes)})"] if new_processes else []
    return signs


def _since_start(sample: Sample) -> float | None:
    """The mean CPU time a second since the start, in nanoseconds."""
    return _per_second(0, sample.started_at or sample.at, sample.cpu_nanoseconds, sample.at)


def _signs_of_cpu(cpu: float, policies: AutomationRules) -> list[str]:
    """`cpu`: nanoseconds a second."""
    percent = cpu / 1e9 * 100
    return [f"CPU {percent:.1f}%"] if percent > policies.idle_cpu_percent else []


def _with_last_known_counters(previous: Sample, new: Sample) -> Sample:
    """The new sample, and of the old one what is unknown now."""
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
    """The difference a second; of a longer time as if all of it had come within `GAP`."""
    seconds = min(at - since, MAX_GAP).total_seconds()
    if before is None or now is None or now < before or seconds <= 0:
        return None
    return (now - before) / seconds
