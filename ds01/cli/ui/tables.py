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
WRAPPED_WIDTH, NARROWEST_WRAPPED = 24, 14  # characters that a wrapped column keeps before and after others shrink

Row = Sequence[str]


class MultilineCell(str):
    """A cell of several lines; in other cells a line break comes from outside, and is replaced."""

    __slots__ = ()


def multiline_cell(parts: Iterable[str]) -> MultilineCell:
    """Return a cell with one line per part; a dash if there are none."""
    return MultilineCell("\n".join(map(printable, parts)) or "–")


def print_table(
    headings: Row,
    rows: Sequence[Row],
    *,
    cut: str | None = None,
    wrap: Sequence[str] = (),
    optional: Sequence[str] = (),
) -> None:
    """Print a table.

    If the terminal is too narrow, lists in cells become lines, and the columns `wrap` are broken between words. Then
    the column `cut` loses its path and its end; without `cut` the last column is wrapped. If that is not enough, the
    columns `optional` are left out, the first one first.
    """
    clean = [[cell if isinstance(cell, MultilineCell) else printable(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        print_text("\n".join(format_plain([headings, *clean])))
        return
    coloured = supports_colours(sys.stdout)
    table = fit_table([headings, *clean], terminal_width(), cut=cut, wrap=wrap, optional=optional, coloured=coloured)
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
    rows: Sequence[Row],
    width: int,
    *,
    cut: str | None = None,
    wrap: Sequence[str] = (),
    optional: Sequence[str] = (),
    coloured: bool = False,
) -> list[str]:
    """Return the rows as lines that fit the terminal if possible; see `print_table`."""
    table = [list(row) for row in rows]
    wrapped = [table[0].index(name) for name in wrap]
    if _excess_width(table, width) > 0:
        table = [[cell if column in wrapped else _break_list(cell) for column, cell in enumerate(row)] for row in table]
    for column in wrapped:
        _wrap_column(table, column, width, WRAPPED_WIDTH)
    shrinking = len(table[0]) - 1 if cut is None else table[0].index(cut)
    if (excess := _excess_width(table, width)) > 0:
        room = max(NARROWEST, _column_width(table, shrinking) - excess)
        for row in table[1:]:
            row[shrinking] = (
                "\n".join(textwrap.wrap(row[shrinking], room)) if cut is None else _shorten(row[shrinking], room)
            )
    for column in wrapped:
        _wrap_column(table, column, width, NARROWEST_WRAPPED)
    if _excess_width(table, width) > 0:
        for name in optional:
            if name in table[0]:
                omitted = table[0].index(name)
                rest = [[cell for column, cell in enumerate(row) if column != omitted] for row in rows]
                return fit_table(rest, width, cut=cut, wrap=wrap, optional=optional, coloured=coloured)
    state = table[0].index("STATE") if coloured and "STATE" in table[0] else None
    return list(format_plain(table, state=state))


def _break_list(cell: str) -> str:
    return cell.replace(", ", "\n").replace(",", "\n")


def _wrap_column(table: list[list[str]], column: int, width: int, least: int) -> None:
    """Break the cells of a column between words if the table is too wide, into at least `least` characters."""
    if (excess := _excess_width(table, width)) > 0:
        room = max(least, _column_width(table, column) - excess)
        for row in table[1:]:
            row[column] = "\n".join(textwrap.wrap(row[column], room, break_long_words=False)) or row[column]


def _excess_width(table: Sequence[Row], width: int) -> int:
    columns = range(len(table[0]))
    return sum(_column_width(table, column) for column in columns) + GAP * (len(columns) - 1) - width


def _column_width(table: Sequence[Row], column: int) -> int:
    return max(len(line) for row in table for line in row[column].split("\n"))


def _shorten(cell: str, room: int) -> str:
    cell = cell if len(cell) <= room else cell.rpartition("/")[2]
    return cell if len(cell) <= room else cell[: room - 1] + "…"
