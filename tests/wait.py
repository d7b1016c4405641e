"""Waiting for a condition, on a machine that may be busy."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
TIMEOUT = 60.0  # seconds until the wait fails


def wait_until(condition: Callable[[], T | None]) -> T:
    """Wait until `condition` returns neither None nor False; return that. Raises AssertionError at the timeout."""
    end = time.monotonic() + TIMEOUT
    while (result := condition()) is None or result is False:
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.005)
    return result
