"""Whether a tick trusts its clock: compared with the last tick, the time since boot, and stored times."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ds01.automation.clock_check import check_clock
from ds01.records.store.tick_memory import TickMemory, parse_tick_memory, tick_memory_document
from ds01.system.clock import ClockReading, Uptime
from tests.harness import NOON

HOUR = timedelta(hours=1)


def reading(clock: timedelta = timedelta(0), up: timedelta | None = timedelta(0), boot: str = "first") -> ClockReading:
    """The clock so long after noon, and a machine that was up for a day at noon."""
    uptime = None if up is None else Uptime(boot, (up + timedelta(days=1)).total_seconds())
    return ClockReading(NOON + clock, uptime)


def is_trusted(memory: TickMemory, now: ClockReading, latest: timedelta | None = None) -> bool:
    return check_clock(memory, now, None if latest is None else NOON + latest)[0] is None


LAST = TickMemory(believed=reading())


def test_the_first_tick_trusts_its_clock() -> None:
    why, memory = check_clock(TickMemory(), reading(), None)
    assert (why, memory.believed, memory.doubted) == (None, reading(), ())


@pytest.mark.parametrize("hours", [0.1, 10, 2000])
def test_time_that_passed_since_boot_is_no_step(hours: float) -> None:
    assert is_trusted(LAST, reading(hours * HOUR, hours * HOUR))


@pytest.mark.parametrize("step", [-8000 * HOUR, -HOUR, HOUR, 20 * HOUR, 8760 * HOUR])
def test_a_step_against_the_time_since_boot_is_not_trusted(step: timedelta) -> None:
    passed = timedelta(minutes=5)
    assert not is_trusted(LAST, reading(passed + step, passed))


@pytest.mark.parametrize("seconds", [-200, -1, 1, 200])
def test_a_small_correction_is_trusted(seconds: int) -> None:
    passed = timedelta(minutes=5)
    assert is_trusted(LAST, reading(passed + timedelta(seconds=seconds), passed))


def test_a_clock_that_was_slewed_for_weeks_is_trusted() -> None:
    weeks = timedelta(weeks=6)
    assert is_trusted(LAST, reading(weeks * 1.0004, weeks))


@pytest.mark.parametrize("up", [None, timedelta(days=-1)])
def test_clock_before_the_last_tick_is_doubted_after_reboot(up: timedelta | None) -> None:
    assert not is_trusted(LAST, reading(-HOUR, up, "second"))
    assert is_trusted(LAST, reading(HOUR, up, "second"))
    assert is_trusted(LAST, reading(timedelta(days=30), up, "second"))
    assert not is_trusted(LAST, reading(timedelta(days=365), up, "second"))


def test_clock_before_the_last_change_is_doubted_after_reboot() -> None:
    up = timedelta(days=-1)
    assert not is_trusted(LAST, reading(HOUR, up, "second"), latest=3 * HOUR)
    assert not is_trusted(TickMemory(), reading(HOUR, up), latest=3 * HOUR)
    assert is_trusted(LAST, reading(4 * HOUR, up, "second"), latest=3 * HOUR)


def test_times_written_by_a_doubted_clock_do_not_confirm_it() -> None:
    year = timedelta(days=400)
    assert not is_trusted(LAST, reading(year, timedelta(minutes=1), "second"), latest=year - timedelta(seconds=5))


def test_uptime_outweighs_a_change_in_the_future() -> None:
    assert is_trusted(LAST, reading(HOUR, HOUR), latest=8760 * HOUR)


def test_one_wrong_reading_is_forgotten() -> None:
    _, memory = check_clock(LAST, reading(8760 * HOUR, HOUR), None)
    assert is_trusted(memory, reading(2 * HOUR, 2 * HOUR))


def test_ntp_correction_after_a_dead_battery_is_trusted() -> None:
    _, memory = check_clock(LAST, reading(-200000 * HOUR, timedelta(days=-1), "second"), None)
    _, memory = check_clock(memory, reading(-199999.5 * HOUR, HOUR / 2 - timedelta(days=1), "second"), None)
    assert is_trusted(memory, reading(2 * HOUR, 2 * HOUR - timedelta(days=1), "second"))


def unjudged(memory: TickMemory, step: timedelta, *, has_uptime: bool = True, boot: str = "first") -> int:
    """How many ticks in a row, five minutes apart, do not trust a clock that was put elsewhere and stays there."""
    for number in range(1, 400):
        passed = timedelta(minutes=5 * number)
        now = reading(step + passed, passed if has_uptime else None, boot)
        why, memory = check_clock(memory, now, NOON)
        if why is None:
            return number - 1
    return 400


@pytest.mark.parametrize("has_uptime", [True, False])
@pytest.mark.parametrize("hours", [-3000, -2])
def test_a_clock_that_stays_behind_is_trusted_after_an_hour(hours: int, has_uptime: bool) -> None:
    assert unjudged(LAST, hours * HOUR, has_uptime=has_uptime) == 12


def test_a_clock_that_stays_ahead_is_trusted_after_a_day() -> None:
    assert unjudged(LAST, 2 * HOUR) == unjudged(LAST, 8760 * HOUR, has_uptime=False) == 288


def test_clock_before_a_proven_time_is_never_trusted() -> None:
    memory = TickMemory()
    for hours in range(30):
        _, memory = check_clock(memory, reading((hours - 30) * HOUR, (hours - 30) * HOUR), None)
    assert memory.proven == NOON - HOUR
    assert unjudged(memory, -200000 * HOUR, boot="second") == 400
    assert unjudged(memory, 2 * HOUR, boot="second") == 0


def test_a_clock_that_jumps_about_is_never_trusted() -> None:
    memory = LAST
    for number in range(1, 40):
        passed = timedelta(minutes=5 * number)
        step = 100 * HOUR if number % 2 else 200 * HOUR
        why, memory = check_clock(memory, reading(step + passed, passed), None)
        assert why is not None


def test_what_it_remembers_survives_the_file() -> None:
    _, memory = check_clock(LAST, reading(8760 * HOUR, HOUR), NOON)
    assert parse_tick_memory(tick_memory_document(memory)) == memory
    assert parse_tick_memory({"believed": "yesterday"}) == parse_tick_memory([]) == TickMemory()
