"""Showing a stream that ends only with its reader: Ctrl-C, or a pipe that is closed."""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator
from contextlib import closing
from typing import TypeVar

from ds01.cli.ui.output import print_text, reader_is_gone
from ds01.cli.ui.refresh import EXIT_INTERRUPTED

S = TypeVar("S")


def follow(steps: Generator[S, None, None], show: Callable[[S], None]) -> int:
    """Show each step until Ctrl-C, or until nobody reads stdout any more; return the exit code."""
    gc.enable()  # this may take days
    try:
        with closing(steps):
            for step in steps:
                show(step)
                if reader_is_gone():
                    break
    except KeyboardInterrupt:
        print_text(error=True)  # ends the line in which the terminal shows ^C
        return EXIT_INTERRUPTED
    return 0
