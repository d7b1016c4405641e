"""Whether a container did something since the last look: differences of counters. Pure.

An unknown counter proves neither activity nor idleness, and is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ds01.policy.model import Automation


@dataclass(frozen=True)
class Sample:
    """What a container had used at one moment since its start; None is unknown. GPU in percent, now."""

    at: datetime
    started_at: datetime | None
    cpu_nanoseconds: int | None = None
    network_bytes: int | None = None
    gpu_percent: float | None = None
    gpu_processes: tuple[int, ...] | None = None
    pid: int | None = None


@dataclass(frozen=True)
class Activity:
    """What is kept between two looks: the last sample, when something was last done, and what was seen."""

    sample: Sample
    last: datetime | None = None  # the last activity since the start
    state: str = "unknown"  # active, idle, unknown
    why: str | None = None


def assess(before: Activity | None, sample: Sample, policies: Automation) -> Activity:
    """The activity after one more look. A counter that went back, or another start, means that nothing is known yet."""
    if before is None or before.sample.started_at != sample.started_at:
        return Activity(sample, None, "unknown", "first look since its start")
    old = before.sample
    seconds = (sample.at - old.at).total_seconds()
    if seconds <= 0:
        return Activity(sample, before.last, "unknown", "the clock went back")
    cpu = _per_second(old.cpu_nanoseconds, sample.cpu_nanoseconds, seconds)
    network = _per_second(old.network_bytes, sample.network_bytes, seconds)
    signs = []
    if cpu is not None and cpu / 1e9 * 100 > policies.idle_cpu_percent:
        signs.append(f"CPU {cpu / 1e9 * 100:.1f}%")
    if sample.gpu_percent is not None and sample.gpu_percent > policies.idle_gpu_percent:
        signs.append(f"GPU {sample.gpu_percent:.0f}%")
    if network is not None and network > policies.idle_network_rate:
        signs.append(f"network {network / 1024:.0f}k/s")
    # An old GPU process proves nothing, frameworks keep them; a new one does.
    if sample.gpu_processes is not None and old.gpu_processes is not None:
        new = set(sample.gpu_processes) - set(old.gpu_processes)
        signs += [f"a new GPU process ({min(new)})"] if new else []
    if signs:
        return Activity(sample, sample.at, "active", ", ".join(signs))
    if cpu is None:
        return Activity(sample, before.last, "unknown", "its CPU time cannot be read")
    return Activity(sample, before.last, "idle", None)


def _per_second(before: int | None, now: int | None, seconds: float) -> float | None:
    if before is None or now is None or now < before:
        return None
    return (now - before) / seconds
