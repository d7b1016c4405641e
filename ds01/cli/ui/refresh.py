"""Refreshing an output until Ctrl-C."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

from ds01.cli.ui.output import print_text

DEFAULT_INTERVAL = 2  # seconds between refreshes
EXIT_INTERRUPTED = 130  # the exit code that a shell gives to a program ended by Ctrl-C


def repeat_until_interrupted(show: Callable[[], None], *, interval: float = DEFAULT_INTERVAL) -> int:
    """Call `show` every `interval` seconds until Ctrl-C; return the exit code."""
    gc.enable()  # this may take days
    try:
        while True:
            show()
            time.sleep(interval)
    except KeyboardInterrupt:
        print_text(error=True)  # ends the line in which the terminal shows ^C
        return EXIT_INTERRUPTED
