"""Decide whether the clock can be trusted: a clock that jumps must not count as elapsed time. Pure.

A dead battery sets a server back until NTP corrects it; a typing error or a bad NTP server sets it ahead for a while.
The time since boot, which nobody sets, tells a step of the clock from elapsed time. Across a reboot only stored times
tell.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from ds01.records.store.tick_memory import TickMemory
from ds01.system.clock import ClockReading

TOLERANCE = timedelta(minutes=5)
SLEW = 0.001  # NTP speeds up or slows down a clock by at most half of this
LONGEST_ABSENCE = timedelta(days=90)  # after a longer time off, the clock is trusted a day after the return
PROVEN_AFTER = timedelta(days=1)  # a clock that agreed with the time since boot for this long was right
# A clock that disagrees and remains steady is believed in the end: then the earlier one was wrong. Believing a clock
# that is ahead ends leases and containers; believing one that is behind only delays that.
TRUST_BEHIND_AFTER = timedelta(hours=1)
TRUST_AHEAD_AFTER = timedelta(days=1)


def check_clock(memory: TickMemory, reading: ClockReading, latest: datetime | None) -> tuple[str | None, TickMemory]:
    """Return why the clock is not trusted (None: it is), and the new memory.

    `latest`: the newest time from elsewhere: records, samples, Docker.
    """
    why = _find_problem(memory, reading, latest)
    if why is None:
        return None, _trust(memory, reading)
    first_doubted = memory.doubted[0] if memory.doubted and _is_steady(memory.doubted[-1], reading) else reading
    if memory.proven is not None and reading.at < memory.proven - TOLERANCE:
        hint = "if the clock is right now, remove tick-memory.json from the state directory as root"
        return f"{why}, and it is before a time known to be right: {hint}", replace(
            memory, doubted=(first_doubted, reading)
        )
    is_behind = memory.believed is None or reading.at < memory.believed.at
    needed = TRUST_BEHIND_AFTER if is_behind else TRUST_AHEAD_AFTER
    if reading.at - first_doubted.at >= needed:
        return None, replace(_trust(memory, reading), disproved=latest)
    condition = f"it will be trusted once it has been steady for {_text(needed)}"
    return f"{why}; {condition}", replace(memory, doubted=(first_doubted, reading))


def _trust(memory: TickMemory, reading: ClockReading) -> TickMemory:
    before = memory.believed
    drift = _drift(before, reading) if before is not None else None
    is_same_run = drift is not None and abs(drift) <= TOLERANCE
    since = memory.steady_since if is_same_run and memory.steady_since is not None else reading.at
    proven = reading.at if reading.at - since >= PROVEN_AFTER else memory.proven
    return replace(memory, believed=reading, doubted=(), steady_since=since, proven=proven)


def _find_problem(memory: TickMemory, reading: ClockReading, latest: datetime | None) -> str | None:
    before = memory.believed
    if before is not None and (drift := _drift(before, reading)) is not None:
        allowed = TOLERANCE + abs(reading.at - before.at) * SLEW
        if drift > allowed:
            return f"the clock is {_text(drift)} further ahead since the last tick than the time since boot"
        if drift < -allowed:
            return f"the clock was set back by {_text(-drift)} since the last tick"
        return None
    if before is not None and reading.at < before.at - TOLERANCE:
        return f"the clock is {_text(before.at - reading.at)} before the last tick"
    if latest is not None and (memory.disproved is None or latest > memory.disproved):
        if reading.at < latest - TOLERANCE:
            return f"the clock is {_text(latest - reading.at)} before the last change of a container"
    else:
        latest = None
    # Times stored since boot come from this very clock, so only the last tick, if any, can contradict it.
    last_time = before.at if before is not None else latest
    if last_time is not None and reading.at - last_time > LONGEST_ABSENCE:
        return f"the clock is {_text(reading.at - last_time)} after the last tick, which is implausible"
    return None


def _drift(before: ClockReading, now: ClockReading) -> timedelta | None:
    """Return how far the clock moved beyond the time since boot; None if the two cannot be compared."""
    if before.uptime is None or now.uptime is None or before.uptime.boot != now.uptime.boot:
        return None
    return (now.at - before.at) - timedelta(seconds=now.uptime.seconds - before.uptime.seconds)


def _is_steady(before: ClockReading, now: ClockReading) -> bool:
    """Return whether a doubted clock has advanced as expected since the last reading."""
    drift = _drift(before, now)
    if drift is None:
        return before.at <= now.at <= before.at + LONGEST_ABSENCE
    return abs(drift) <= TOLERANCE


def _text(length: timedelta) -> str:
    if length >= timedelta(days=2):
        return f"{length.days} days"
    hours, minutes = divmod(length // timedelta(minutes=1), 60)
    return f"{hours}h {minutes}m" if hours else f"{minutes}m"
