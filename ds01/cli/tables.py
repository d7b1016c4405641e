"""Tables: in colour and fitted to the width on a terminal, plain and whole when piped."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest

from ds01.cli.output import printable, put, send, takes_colours, terminal_width

COLOURS = {
    "running": 32, "created": 36, "held": 33, "stopped": 90, "removed": 90, "paused": 34, "exited": 90,
    "free": 32, "leased": 36, "reserved": 35, "busy_outside": 31, "unhealthy": 31,
}  # fmt: skip
GAP = 2  # spaces between two columns
NARROWEST = 8  # letters that a column keeps when the others need the room

Row = Sequence[str]


class Lines(str):
    """A cell of several lines; a line break in any other cell came from outside, and is shown as such."""

    __slots__ = ()


def lines(parts: Iterable[str]) -> Lines:
    """Return a cell with a line for each of `parts`; a dash without any."""
    return Lines("\n".join(map(printable, parts)) or "–")


def show(headings: Row, rows: Sequence[Row], *, cut: str | None = None, optional: str | None = None) -> None:
    """Print a table. Where a terminal is too narrow, lists become lines, then one column gives way: of the column
    `cut` the path and the end; without it the last one is broken between words. The column `optional` is left out
    where that is not enough.
    """
    clean = [[cell if isinstance(cell, Lines) else printable(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        put("\n".join(plain([headings, *clean])))
        return
    coloured = takes_colours(sys.stdout)
    table = fitted([headings, *clean], terminal_width(), cut=cut, optional=optional, coloured=coloured)
    send("\n".join(table), sys.stdout)


def plain(rows: Sequence[Row], *, state: int | None = None) -> Iterator[str]:
    """The rows as lines, the headings first; a cell may have several lines. `state`: the column to be coloured."""
    cells = [[cell.split("\n") for cell in row] for row in rows]
    widths = [max(len(line) for cell in column for line in cell) for column in zip(*cells, strict=True)]
    for number, row in enumerate(cells):
        for parts in zip_longest(*row, fillvalue=""):
            padded = [part.ljust(width) for part, width in zip(parts, widths, strict=True)]
            padded[-1] = parts[-1]
            if state is not None:
                code = COLOURS.get(parts[state].partition(",")[0])
                padded[state] = f"\x1b[{code}m{padded[state]}\x1b[0m" if code else padded[state]
            line = (" " * GAP).join(padded).rstrip()
            yield f"\x1b[1m{line}\x1b[0m" if number == 0 and state is not None else line


def fitted(
    rows: Sequence[Row], width: int, *, cut: str | None = None, optional: str | None = None, coloured: bool = False
) -> list[str]:
    """Return the rows as lines that fit a terminal, if they can."""
    table = [list(row) for row in rows]
    if _too_wide(table, width) > 0:
        table = [[cell.replace(", ", "\n").replace(",", "\n") for cell in row] for row in table]
    if (over := _too_wide(table, width)) > 0:
        giving = len(table[0]) - 1 if cut is None else table[0].index(cut)
        room = max(NARROWEST, _width(table, giving) - over)
        for row in table[1:]:
            row[giving] = "\n".join(textwrap.wrap(row[giving], room)) if cut is None else _shortened(row[giving], room)
    if optional is not None and optional in table[0] and _too_wide(table, width) > 0:
        left_out = table[0].index(optional)
        rest = [[cell for column, cell in enumerate(row) if column != left_out] for row in rows]
        return fitted(rest, width, cut=cut, coloured=coloured)
    state = table[0].index("STATE") if coloured and "STATE" in table[0] else None
    return list(plain(table, state=state))


def _too_wide(table: Sequence[Row], width: int) -> int:
    columns = range(len(table[0]))
    return sum(_width(table, column) for column in columns) + GAP * (len(columns) - 1) - width


def _width(table: Sequence[Row], column: int) -> int:
    return max(len(line) for row in table for line in row[column].split("\n"))


def _shortened(cell: str, room: int) -> str:
    cell = cell if len(cell) <= room else cell.rpartition("/")[2]
    return cell if len(cell) <= room else cell[: room - 1] + "…"
