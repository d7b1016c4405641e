"""Tables of the dashboard: columns that fit the width, filter, order, selection by identity. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Generic, NamedTuple, TypeVar

from ds01.cli.dashboard.sample import Sample
from ds01.cli.dashboard.screen import BOLD, DIM, PLAIN, REVERSE, Line, Span, fit, pad, restyle
from ds01.cli.dashboard.state import Cursor, Order, State
from ds01.cli.ui.width import text_width
from ds01.dataclass import dataclass

T = TypeVar("T")
ENDLESS = 100  # columns: such a column takes what the others leave
UP, DOWN = "▲", "▼"


class Cell(NamedTuple):
    """The content of a cell. A text that is too long extends over empty cells behind it."""

    text: str
    style: int = PLAIN


EMPTY = Cell("")
Draw = Callable[[T, Sample, int], Cell]  # the item, the sample, the width of the column


@dataclass(frozen=True)
class Column(Generic[T]):
    """A column. `width` to `most`: its columns on the terminal; `rank`: high ones are left out first.

    `order`: what rows are sorted by; None is unknown and comes last. `falling`: the first order is from the highest.
    """

    key: str
    heading: str
    width: int
    rank: int
    draw: Draw[T]
    order: Callable[[T], Any]
    most: int = 0
    right: bool = False
    falling: bool = False


@dataclass(frozen=True)
class Table(Generic[T]):
    """What a view lists. `items`: in the view's own order, or (True) those that can be sorted.

    `identity` names what a row stands for, `container` its container, `search` what a filter finds.
    """

    columns: tuple[Column[T], ...]
    items: Callable[[Sample, bool], Sequence[T]]
    identity: Callable[[T], str]
    search: Callable[[T], str]
    container: Callable[[T], str | None]
    empty: str
    user: Callable[[T], str | None] = lambda item: None

    def listed(self, state: State, sample: Sample) -> list[T]:
        """Return the items that the filter leaves, in the chosen order."""
        column = next((item for item in self.columns if item.key == state.order.column), None)
        words = state.filter.casefold().split()
        items = [
            item
            for item in self.items(sample, column is not None)
            if not words or _contains(self.search(item).casefold(), words)
        ]
        return items if column is None else _sorted(items, column, state.order)


def _contains(text: str, words: Sequence[str]) -> bool:
    return all(word in text for word in words)


def _sorted(items: Sequence[T], column: Column[T], order: Order) -> list[T]:
    values = [(column.order(item), item) for item in items]
    known = [pair for pair in values if pair[0] is not None]
    known.sort(key=lambda pair: pair[0], reverse=order.descending)
    return [item for _, item in known] + [item for value, item in values if value is None]


def settle(state: State, identities: Sequence[str], page: int) -> State:
    """Return the state with a cursor that points to a row, and with that row on the screen."""
    cursor = state.cursor
    count = len(identities)
    if not count:
        settled = Cursor()
    else:
        index = identities.index(cursor.identity) if cursor.identity in identities else min(cursor.index, count - 1)
        top = max(0, min(cursor.top, count - page, index), index - page + 1)
        settled = Cursor(identities[index], index, top)
    if settled == cursor and state.page == page:
        return state
    return replace(state.with_cursor(settled), page=page)


def draw_table(
    table: Table[Any], state: State, sample: Sample, items: Sequence[Any], width: int, rows: int, *, marks: bool = True
) -> list[Line]:
    """Return the headings and at most `rows` rows from the cursor's first one. `marks`: show what is selected."""
    columns = fit_columns(table.columns, width)
    lines = [_headings(columns, state.order, width)]
    top = state.cursor.top if marks else 0
    if not items:
        text = f"nothing matches '{state.filter}'" if state.filter else table.empty
        return [*lines, fit([Span(text, DIM)], width)]
    for number, item in enumerate(items[top : top + rows], top):
        line = _row([(column, size, column.draw(item, sample, size)) for column, size in columns], width)
        lines.append(restyle(line, REVERSE) if marks and number == state.cursor.index else line)
    return lines


def fit_columns(columns: Sequence[Column[Any]], width: int) -> list[tuple[Column[Any], int]]:
    """Return the columns that fit, with their widths: the low ranks first, and first to grow."""
    kept = sorted(columns, key=lambda column: column.rank)
    while len(kept) > 1 and sum(column.width + 1 for column in kept) - 1 > width:
        kept.pop()
    left = width - sum(column.width + 1 for column in kept) + 1
    sizes = {}
    for column in sorted(kept, key=lambda column: (column.most >= ENDLESS, column.rank)):
        more = max(0, min(left, column.most - column.width))
        sizes[column.key] = column.width + more
        left -= more
    return [(column, sizes[column.key]) for column in columns if column.key in sizes]


def _headings(columns: Sequence[tuple[Column[Any], int]], order: Order, width: int) -> Line:
    spans = []
    for column, size in columns:
        heading, style = column.heading, BOLD
        if column.key == order.column:
            mark = DOWN if order.descending else UP
            heading, style = f"{heading[: size - 1]}{mark}", BOLD | REVERSE
        spans += [Span(pad(heading, size, right=column.right), style), Span(" ")]
    return fit(spans[:-1], width)


def _row(cells: Sequence[tuple[Column[Any], int, Cell]], width: int) -> Line:
    spans: list[Span] = []
    covered = 0  # cells behind that a long text extends over
    for number, (column, room, cell) in enumerate(cells):
        if covered:
            covered -= 1
            continue
        for _, size, behind in cells[number + 1 :] if not column.right else ():
            if behind.text or text_width(cell.text) <= room:
                break
            room += size + 1
            covered += 1
        spans += [Span(pad(cell.text, room, right=column.right), cell.style), Span(" ")]
    return fit(spans[:-1], width)
