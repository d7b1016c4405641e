"""What counts as activity, and what proves nothing, sample by sample."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from ds01.automation.activity import Activity, Sample, assess
from ds01.policy.model import AutomationRules
from ds01.system.data import from_json, to_json

NOON = datetime(2026, 11, 30, 12, 0, tzinfo=timezone.utc)
START = NOON - timedelta(hours=1)
POLICIES = AutomationRules()  # 1 % of a core, 5 % of a GPU, 10k a second
MINUTE = timedelta(minutes=1)


def sample(minutes: float = 0, **more: object) -> Sample:
    known = {"cpu_nanoseconds": 0, "network_bytes": 0, "gpu_percent": 0.0, "gpu_processes": (7,)}
    return Sample(NOON + minutes * MINUTE, START, **known | more)  # type: ignore[arg-type]


FIRST = Activity(sample(), NOON - 10 * MINUTE, "idle")


def test_the_first_look_knows_nothing() -> None:
    seen = assess(None, sample(), POLICIES)
    assert (seen.state, seen.last) == ("unknown", None)


def test_a_look_after_another_start_knows_nothing() -> None:
    seen = assess(FIRST, replace(sample(1), started_at=NOON), POLICIES)
    assert (seen.state, seen.last) == ("unknown", None)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"cpu_nanoseconds": 601_000_000}, "CPU 1.0%"),
        ({"gpu_percent": 5.1}, "GPU 5%"),
        ({"network_bytes": 60 * 10 * 1024 + 1}, "network 10k/s"),
        ({"gpu_processes": (7, 8)}, "a new GPU process (8)"),
        ({"cpu_nanoseconds": None, "gpu_percent": 80.0}, "GPU 80%"),
    ],
)
def test_value_above_a_threshold_is_activity(more: dict[str, object], why: str) -> None:
    seen = assess(FIRST, sample(1, **more), POLICIES)
    assert (seen.state, seen.why, seen.last) == ("active", why, NOON + MINUTE)


@pytest.mark.parametrize(
    "more",
    [
        {"cpu_nanoseconds": 600_000_000},
        {"gpu_percent": 5.0},
        {"network_bytes": 60 * 10 * 1024},
        {"gpu_processes": (7,)},
        {"gpu_processes": ()},
        {"gpu_percent": None},
        {"network_bytes": None},
        {"gpu_processes": None},
    ],
)
def test_low_or_unknown_values_with_low_cpu_are_idle(more: dict[str, object]) -> None:
    seen = assess(FIRST, sample(1, **more), POLICIES)
    assert (seen.state, seen.last) == ("idle", FIRST.last)


def test_an_unknown_cpu_is_neither() -> None:
    seen = assess(FIRST, sample(1, cpu_nanoseconds=None), POLICIES)
    assert (seen.state, seen.last) == ("unknown", FIRST.last)


def test_work_during_unreadable_counters_counts_afterwards() -> None:
    seen = assess(FIRST, sample(1, cpu_nanoseconds=None), POLICIES)
    seen = assess(seen, sample(2, cpu_nanoseconds=None), POLICIES)
    assert assess(seen, sample(3, cpu_nanoseconds=10**9), POLICIES).state == "idle"  # over three minutes
    assert assess(seen, sample(3, cpu_nanoseconds=2 * 10**9), POLICIES).state == "active"


def test_the_same_holds_for_the_network_and_gpu_processes() -> None:
    seen = assess(FIRST, sample(1, network_bytes=None, gpu_processes=None), POLICIES)
    assert assess(seen, sample(2, network_bytes=10 * 1024 * 90), POLICIES).state == "idle"
    assert assess(seen, sample(2, network_bytes=10 * 1024 * 130), POLICIES).state == "active"
    assert assess(seen, sample(2, gpu_processes=(7, 9)), POLICIES).state == "active"


def test_a_cpu_counter_that_went_back_means_a_restart() -> None:
    seen = assess(Activity(sample(cpu_nanoseconds=50), NOON - MINUTE), sample(1, cpu_nanoseconds=20), POLICIES)
    assert (seen.state, seen.last) == ("unknown", NOON + MINUTE)


def test_a_network_counter_that_went_back_is_unknown_only() -> None:
    seen = assess(Activity(sample(network_bytes=50), NOON - MINUTE), sample(1, network_bytes=20), POLICIES)
    assert (seen.state, seen.last) == ("idle", NOON - MINUTE)


def test_a_clock_that_went_back_leaves_no_activity_in_the_future() -> None:
    seen = assess(Activity(sample(), NOON), sample(-60), POLICIES)
    assert (seen.state, seen.last) == ("unknown", NOON - 60 * MINUTE)


def test_two_looks_at_one_moment_are_one() -> None:
    assert assess(FIRST, sample(0, cpu_nanoseconds=10**12), POLICIES) == FIRST


def test_used_once_and_idle_for_days_is_idle() -> None:
    """The mean over its whole life would say otherwise."""
    busy = assess(FIRST, sample(60 * 24, cpu_nanoseconds=86400 * 10**9), POLICIES)
    assert busy.state == "active"
    assert assess(busy, sample(60 * 24 + 5, cpu_nanoseconds=86400 * 10**9), POLICIES).state == "idle"


def test_it_lies_in_a_record_as_json() -> None:
    seen = assess(FIRST, sample(1, cpu_nanoseconds=None), POLICIES)
    assert from_json(Activity, to_json(seen)) == seen


# samples far apart


@pytest.mark.parametrize(("hours", "seconds"), [(1, 30), (10, 300), (72, 60)])
def test_some_load_in_a_long_gap_is_activity(hours: int, seconds: int) -> None:
    seen = assess(FIRST, sample(60 * hours, cpu_nanoseconds=seconds * 10**9), POLICIES)
    assert (seen.state, seen.last) == ("active", NOON + timedelta(hours=hours))
    assert seen.why == f"it was active in the {hours * 60} minutes since the last sample"


def test_some_traffic_in_a_long_gap_is_activity() -> None:
    assert assess(FIRST, sample(600, network_bytes=100 << 20), POLICIES).state == "active"


def test_next_to_nothing_in_a_long_gap_is_idle() -> None:
    seen = assess(FIRST, sample(600, cpu_nanoseconds=5 * 10**9, network_bytes=1 << 20), POLICIES)
    assert (seen.state, seen.last) == ("idle", FIRST.last)


def test_a_late_first_look_does_not_average_load_away() -> None:
    assert assess(None, sample(600, cpu_nanoseconds=300 * 10**9), POLICIES).state == "active"
