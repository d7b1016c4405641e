"""Cells that several views have: durations, bars, sizes, deadlines."""

from __future__ import annotations

from datetime import datetime, timedelta

from ds01.api.types import NEXT_ACTIONS, Deadline
from ds01.cli.dashboard.screen import CYAN, DIM, GREEN, PLAIN, RED, YELLOW, clean
from ds01.cli.dashboard.table import Cell
from ds01.cli.ui.bars import bar, percent_text
from ds01.cli.ui.formats import format_duration
from ds01.policy.units import readable_size

NOTHING = Cell("–", DIM)
UNKNOWN_TEXT = "?"
STATE_STYLES = {
    "running": PLAIN,
    "leased": PLAIN,
    "free": GREEN,
    "held": YELLOW,
    "reserved": CYAN,
    "waiting": CYAN,
    "created": CYAN,
    "stopped": DIM,
    "exited": DIM,
    "busy_outside": RED,
    "unhealthy": RED,
}
NARROW_DURATION = 5  # columns below which a duration has one unit
SOON = timedelta(hours=1)
LITTLE, MUCH = 15, 50  # percent of utilisation: below, the GPU is held but hardly used
NEARLY_FULL = 90  # percent of a limit


def short_duration(duration: timedelta, width: int) -> str:
    """Return a duration with one unit if the column is narrow, else with two."""
    text = format_duration(duration)
    return text if len(text) <= width and width > NARROW_DURATION else text.partition(" ")[0]


def since_cell(since: datetime | None, now: datetime, width: int, style: int = PLAIN) -> Cell:
    """Return how long ago a time was."""
    return NOTHING if since is None else Cell(short_duration(now - since, width), style)


def next_cell(deadline: Deadline | None, now: datetime, width: int) -> Cell:
    """Return what happens next automatically, and in how long: `idle stop 2d`."""
    if deadline is None:
        return NOTHING
    what = NEXT_ACTIONS.get(deadline.because, deadline.because)
    style = YELLOW if deadline.at - now < SOON else PLAIN
    if deadline.at <= now:
        return Cell(f"{what} due", style)
    return Cell(f"{what} {short_duration(deadline.at - now, width - len(what) - 1)}", style)


def use_style(percent: float | None) -> int:
    """Return the colour of a GPU's utilisation."""
    if percent is None:
        return DIM
    return GREEN if percent >= MUCH else PLAIN if percent >= LITTLE else YELLOW


def bar_cell(percent: float | None, width: int, style: int = PLAIN) -> Cell:
    """Return a bar with its percentage, in `width` columns."""
    return Cell(f"{bar(percent, max(1, width - 5))} {percent_text(percent):>4}", style)


def limit_bar_cell(used: float | None, limit: float | None, text: str, width: int) -> Cell:
    """Return a bar of what is used of a limit, and `text`; without a limit the text alone."""
    room = width - len(text) - 1
    if limit is None or limit <= 0 or room < 1:
        return Cell(f"{text:>{width}}")
    percent = None if used is None else used / limit * 100
    style = RED if percent is not None and percent >= NEARLY_FULL else PLAIN
    return Cell(f"{bar(percent, room)} {text}", style)


def amount(used: int | None, limit: int | None) -> str:
    """Return a number of bytes with its limit: `3g/8g`; `?` if it is unknown."""
    text = size_text(used)
    return text if limit is None else f"{text}/{readable_size(limit)}"


def size_text(number: int | None) -> str:
    """Return a number of bytes; `?` if it is unknown."""
    return UNKNOWN_TEXT if number is None else readable_size(number)


def holder_text(user: str | None, name: str | None) -> str:
    """Return `alice (thesis)`."""
    parts = [user or UNKNOWN_TEXT, f"({name})" if name else ""]
    return clean(" ".join(part for part in parts if part))
