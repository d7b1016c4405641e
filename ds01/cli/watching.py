"""Looking again and again at what changes, until Ctrl-C."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

from ds01.cli.output import put

INTERVAL = 2  # seconds between two looks
ENDED = 130  # as a shell has it for a program that Ctrl-C ended, and the way out here: nothing went wrong


def again_and_again(look: Callable[[], None], *, every: float = INTERVAL) -> int:
    """Call `look` every so many seconds. Ctrl-C ends it without a word; the exit code."""
    gc.enable()  # this may take days
    try:
        while True:
            look()
            time.sleep(every)
    except KeyboardInterrupt:
        put(error=True)  # what comes next does not stand behind the terminal's ^C
        return ENDED
