"""The time: aware UTC everywhere, real or given."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timezone

Clock = Callable[[], datetime]
Sleep = Callable[[float], None]


def now() -> datetime:
    """The machine's time, aware, in UTC."""
    return datetime.now(timezone.utc)


def fixed(when: datetime) -> Clock:
    """A clock that stands still at `when`."""
    return lambda: when


sleep: Sleep = time.sleep
