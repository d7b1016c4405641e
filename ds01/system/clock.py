"""The clock (aware UTC, real or fixed), the server's time zone, and the time since boot, which cannot be set."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from datetime import datetime, timezone, tzinfo
from functools import cache
from pathlib import Path

from ds01.dataclass import dataclass

Clock = Callable[[], datetime]
Sleep = Callable[[float], None]
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Uptime:
    """The id of the current boot and the seconds since then, including time suspended."""

    boot: str
    seconds: float


@dataclass(frozen=True)
class ClockReading:
    """The clock and the time since boot at one moment. `uptime` None: unknown, or the clock is simulated."""

    at: datetime
    uptime: Uptime | None = None


LOCALTIME = Path("/etc/localtime")


def now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.now(timezone.utc)


def uptime() -> Uptime | None:
    """Return the time since boot; None if the kernel does not report it."""
    try:
        return Uptime(_BOOT_ID.read_text().strip(), time.clock_gettime(time.CLOCK_BOOTTIME))
    except OSError:
        return None


def fixed_clock(when: datetime) -> Clock:
    """Return a clock that stands still at `when`."""
    return lambda: when


@cache
def server_zone() -> tzinfo:
    """Return the server's time zone, whatever the caller's TZ says.

    A deadline or the last day of an override must not depend on who reads it, and callers can set TZ.
    """
    return read_zone(LOCALTIME)


def read_zone(path: Path) -> tzinfo:
    """Return the zone that the TZif file `path` describes; UTC without a usable file, as the C library does."""
    from zoneinfo import ZoneInfo  # slow to load, and few commands show a time

    try:
        with path.open("rb") as file:
            return ZoneInfo.from_file(file, key="localtime")
    except (OSError, ValueError, IndexError, struct.error):
        return timezone.utc


def to_server_zone(when: datetime) -> datetime:
    """Return the same moment in the server's zone, to show."""
    return when.astimezone(server_zone())


sleep: Sleep = time.sleep
