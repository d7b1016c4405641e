"""Looking again and again at what changes, until Ctrl-C."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

from ds01.cli.ui.output import print_text

DEFAULT_INTERVAL = 2  # seconds between two looks
EXIT_INTERRUPTED = 130  # as a shell has it for a program that Ctrl-C ended, and the way out here: nothing went wrong


def repeat_until_interrupted(show: Callable[[], None], *, interval: float = DEFAULT_INTERVAL) -> int:
    """Call `look` every so many seconds. Ctrl-C ends it without a word; the exit code."""
    gc.enable()  # this may take days
    try:
        while True:
            show()
            time.sleep(interval)
    except KeyboardInterrupt:
        print_text(error=True)  # what comes next does not stand behind the terminal's ^C
        return EXIT_INTERRUPTED
