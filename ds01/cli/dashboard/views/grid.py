"""Who used the GPUs in the last hour: a row for each owner, a column for every ten minutes."""

from __future__ import annotations

from datetime import timedelta

from ds01.cli.dashboard.history import LEVELS, MINUTES, PERIOD, Use
from ds01.cli.dashboard.sample import Sample
from ds01.cli.dashboard.screen import BOLD, DIM, Line, Span, clean, fit, pad
from ds01.cli.dashboard.views.cells import use_style
from ds01.cli.ui.bars import UNKNOWN
from ds01.system.clock import to_server_zone

COLUMN = 9  # columns of the terminal for a period: `▅ 58% ×2`
OWNER = 12  # for a name, at least
WIDTH = OWNER + MINUTES // PERIOD * (COLUMN + 1)


def draw_grid(sample: Sample, width: int, rows: int) -> list[Line]:
    """Return at most `rows` lines of the grid, headings included."""
    uses = sample.history.grid(sample.now)
    owner_width = max(OWNER, min(30, width - (WIDTH - OWNER)))
    starts = [
        to_server_zone(sample.now - timedelta(minutes=MINUTES - PERIOD * column - 1)).strftime("%H:%M")
        for column in range(MINUTES // PERIOD)
    ]
    headings = [Span(pad("OWNER, FROM", owner_width), BOLD)]
    headings += [Span(f" {pad(start, COLUMN)}", BOLD) for start in starts]
    lines = [fit(headings, width)]
    if not uses:
        return [*lines, fit([Span("nobody has had a GPU since the dashboard was started", DIM)], width)]
    for owner, row in uses.items():
        lines.append(fit([Span(pad(clean(owner), owner_width)), *map(_cell, row)], width))
    if len(lines) > rows:
        lines[rows - 1 :] = [fit([Span(f"… and {len(lines) - rows + 1} more", DIM)], width)]
    return lines


def _cell(use: Use | None) -> Span:
    if use is None:
        return Span(" " * (COLUMN + 1))
    if use.percent is None:
        text = f"{UNKNOWN} ?"
    else:
        level = LEVELS[min(len(LEVELS) - 1, int(use.percent / 100 * len(LEVELS)))]
        text = f"{level}{use.percent:4.0f}%"
    slots = round(use.slots)
    return Span(f" {pad(f'{text} ×{slots}' if slots > 1 else text, COLUMN)}", use_style(use.percent))
