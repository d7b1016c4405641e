"""Tables: coloured and fitted to the width on a terminal, plain and complete in a pipe."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest

from ds01.cli.ui.output import print_text, printable, supports_colours, terminal_width, write_raw

COLOURS = {
    "running": 32, "created": 36, "held": 33, "stopped": 90, "removed": 90, "paused": 34, "exited": 90,
    "free": 32, "leased": 36, "reserved": 35, "busy_outside": 31, "unhealthy": 31,
}  # fmt: skip
GAP = 2  # spaces between two columns
NARROWEST = 8  # characters that the shrinking column keeps

Row = Sequence[str]


class MultilineCell(str):
    """A cell of several lines; in other cells a line break comes from outside, and is replaced."""

    __slots__ = ()


def multiline_cell(parts: Iterable[str]) -> MultilineCell:
    """Return a cell with one line per part; a dash if there are none."""
    return MultilineCell("\n".join(map(printable, parts)) or "–")


def print_table(headings: Row, rows: Sequence[Row], *, cut: str | None = None, optional: str | None = None) -> None:
    """Print a table.

    If the terminal is too narrow, lists in cells become lines. Then the column `cut` loses its path and its end;
    without `cut` the last column is wrapped. If that is not enough, the column `optional` is left out.
    """
    clean = [[cell if isinstance(cell, MultilineCell) else printable(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        print_text("\n".join(format_plain([headings, *clean])))
        return
    coloured = supports_colours(sys.stdout)
    table = fit_table([headings, *clean], terminal_width(), cut=cut, optional=optional, coloured=coloured)
    write_raw("\n".join(table), sys.stdout)


def format_plain(rows: Sequence[Row], *, state: int | None = None) -> Iterator[str]:
    """Yield the rows as lines, headings first; cells may have several lines. `state`: the column to colour."""
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


def fit_table(
    rows: Sequence[Row], width: int, *, cut: str | None = None, optional: str | None = None, coloured: bool = False
) -> list[str]:
    """Return the rows as lines that fit the terminal if possible; see `print_table`."""
    table = [list(row) for row in rows]
    if _excess_width(table, width) > 0:
        table = [[cell.replace(", ", "\n").replace(",", "\n") for cell in row] for row in table]
    if (excess := _excess_width(table, width)) > 0:
        shrinking = len(table[0]) - 1 if cut is None else table[0].index(cut)
        room = max(NARROWEST, _column_width(table, shrinking) - excess)
        for row in table[1:]:
            row[shrinking] = (
                "\n".join(textwrap.wrap(row[shrinking], room)) if cut is None else _shorten(row[shrinking], room)
            )
    if optional is not None and optional in table[0] and _excess_width(table, width) > 0:
        omitted = table[0].index(optional)
        rest = [[cell for column, cell in enumerate(row) if column != omitted] for row in rows]
        return fit_table(rest, width, cut=cut, coloured=coloured)
    state = table[0].index("STATE") if coloured and "STATE" in table[0] else None
    return list(format_plain(table, state=state))


def _excess_width(table: Sequence[Row], width: int) -> int:
    columns = range(len(table[0]))
    return sum(_column_width(table, column) for column in columns) + GAP * (len(columns) - 1) - width


def _column_width(table: Sequence[Row], column: int) -> int:
    return max(len(line) for row in table for line in row[column].split("\n"))


def _shorten(cell: str, room: int) -> str:
    cell = cell if len(cell) <= room else cell.rpartition("/")[2]
    return cell if len(cell) <= room else cell[: room - 1] + "…"
