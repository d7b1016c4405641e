"""Waiting for what has to come to be, on a machine that may be busy."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
TIMEOUT = 60.0  # seconds after which something is wrong


def wait_until(condition: Callable[[], T | None]) -> T:
    """What `condition` gives when that is neither None nor False. Raises AssertionError if it never comes to that."""
    end = time.monotonic() + TIMEOUT
    while (result := condition()) is None or result is False:
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.005)
    return result
