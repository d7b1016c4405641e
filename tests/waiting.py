"""Waiting for what has to come to be, on a machine that may be busy."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
LATE = 60.0  # seconds after which something is wrong


def until(look: Callable[[], T | None]) -> T:
    """What `look` gives when that is neither None nor False. Raises AssertionError if it never comes to that."""
    end = time.monotonic() + LATE
    while (found := look()) is None or found is False:
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.005)
    return found
