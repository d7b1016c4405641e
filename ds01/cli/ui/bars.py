"""Bars for fractions, in eighths of a character. Unknown is drawn as unknown, never as empty."""

from __future__ import annotations

EIGHTHS = " ▏▎▍▌▋▊▉█"
UNKNOWN = "░"


def bar(percent: float | None, width: int) -> str:
    """Return a bar of `width` characters; None is unknown. Values outside 0 to 100 are cut."""
    if percent is None:
        return UNKNOWN * width
    filled = round(min(max(percent, 0.0), 100.0) / 100 * width * 8)
    if percent > 0:
        filled = max(filled, 1)  # little is not nothing
    whole, rest = divmod(filled, 8)
    return ("█" * whole + (EIGHTHS[rest] if rest else "")).ljust(width)


def percent_text(percent: float | None) -> str:
    """Return a percentage as `45%`; `?` if it is unknown."""
    return "?" if percent is None else f"{percent:.0f}%"
