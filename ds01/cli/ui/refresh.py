"""Refreshing an output until Ctrl-C."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

from ds01.cli.ui.output import print_text
from ds01.errors import UsageError

DEFAULT_INTERVAL = 2  # seconds between refreshes
EXIT_INTERRUPTED = 130  # the exit code that a shell gives to a program ended by Ctrl-C


def check_watch(*, watch: bool, interval: int | None, as_json: bool) -> None:
    """Raise UsageError if --watch, --interval and --json do not fit together."""
    if watch and as_json:
        raise UsageError(
            "--watch cannot be combined with --json", hint="`--json` prints one document; run it repeatedly"
        )
    if interval is not None and not watch:
        raise UsageError(
            "--interval needs --watch", why="a single output has no interval", hint="`--watch --interval 5`"
        )


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
