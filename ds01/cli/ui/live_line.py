"""A line on the terminal that changes in place, below the messages."""

from __future__ import annotations

import sys

from ds01.cli.ui.output import printable, supports_escape_codes, terminal_width, write_raw


class LiveLine:
    """One line that each `show` replaces. Shows nothing without a terminal that takes escape codes."""

    def __init__(self, *, enabled: bool) -> None:
        self._shown = enabled and supports_escape_codes(sys.stdout)
        self._written = False

    def show(self, text: str) -> None:
        """Replace the line with `text`."""
        if self._shown:
            self._written = True
            write_raw(f"\r\x1b[K{fit_to_terminal(printable(text))}", sys.stdout, end="")

    def clear(self) -> None:
        """Remove the line, so that the next message takes its place."""
        if self._written:
            self._written = False
            write_raw("\r\x1b[K", sys.stdout, end="")


def fit_to_terminal(text: str) -> str:
    """Shorten a text to one line of the terminal."""
    width = terminal_width() - 3
    return text if len(text) <= width else f"{text[: width - 1]}…"
