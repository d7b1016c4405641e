"""A line on the terminal that changes in place, below what was said."""

from __future__ import annotations

import sys

from ds01.cli.output import printable, send, takes_codes, terminal_width
from ds01.cli.session import Session


class LiveLine:
    """One line that each `show` replaces. Shows nothing without a terminal that takes escape codes."""

    def __init__(self, session: Session) -> None:
        quiet = session.quiet or session.as_json
        self._shown = not quiet and session.terminal and takes_codes(sys.stdout)
        self._written = False

    def show(self, text: str) -> None:
        """Write `text` in place of what stands there."""
        if self._shown:
            self._written = True
            send(f"\r\x1b[K{fitted(printable(text))}", sys.stdout, end="")

    def clear(self) -> None:
        """Take the line away; what is said next stands in its place."""
        if self._written:
            self._written = False
            send("\r\x1b[K", sys.stdout, end="")


def fitted(text: str) -> str:
    """Cut a text so that it fits on one line of the terminal."""
    width = terminal_width() - 3
    return text if len(text) <= width else f"{text[: width - 1]}…"
