"""Tables: in colour and fitted to the width on a terminal, plain and whole when piped."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ds01.cli.words import printable

COLOURS = {
    "running": "green", "created": "cyan", "held": "yellow", "stopped": "bright_black", "removed": "bright_black",
    "paused": "blue", "free": "green", "leased": "cyan", "reserved": "magenta", "busy_outside": "red",
    "unhealthy": "red", "exited": "bright_black",
}  # fmt: skip


def show(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; the cell under `STATE` has a state's colour, if the terminal has any."""
    clean = [[printable(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        print(plain(headings, clean))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(heading, overflow="ellipsis", no_wrap=heading not in ("IMAGE", "WHY", "NOTE"))
    for row in clean:
        cells = [
            Text(cell, style=COLOURS.get(cell.partition(" ")[0], "")) if heading == "STATE" else Text(cell)
            for heading, cell in zip(headings, row, strict=True)
        ]
        table.add_row(*cells)
    Console(highlight=False).print(table)


def plain(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The table as text, columns as wide as their widest cell."""
    lines = [list(headings), *[list(row) for row in rows]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
