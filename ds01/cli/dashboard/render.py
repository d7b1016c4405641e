"""Lay out one screen: header, views, body, message, keys. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import zip_longest

from ds01.api.seeing.server_view import ServerView
from ds01.cli.dashboard.sample import Sample
from ds01.cli.dashboard.screen import (
    BOLD,
    DIM,
    PLAIN,
    RED,
    REVERSE,
    YELLOW,
    Line,
    Screen,
    Span,
    clean,
    fit,
    line_text,
    spread,
)
from ds01.cli.dashboard.state import TITLES, VIEWS, State, View
from ds01.cli.dashboard.table import draw_table, fit_columns, settle
from ds01.cli.dashboard.views.details import draw_details
from ds01.cli.dashboard.views.grid import WIDTH as GRID_WIDTH
from ds01.cli.dashboard.views.grid import draw_grid
from ds01.cli.dashboard.views.help import draw_help
from ds01.cli.dashboard.views.tables import TABLES, lines_above
from ds01.cli.ui.formats import format_count, format_duration, format_local_time
from ds01.cli.ui.width import text_width
from ds01.system.clock import to_server_zone

LEAST_WIDTH, LEAST_HEIGHT = 60, 12
WIDE = 100  # columns of the tree beside which the grid is shown
MOST_MESSAGE_LINES = 2
FRAME = 3  # lines: header, views, keys
HEADINGS = 1
FRESH, STALE = 5.0, 15.0  # seconds of age: below `live`, above a warning
KEYS = {
    "list": "↑↓ select  Enter details  / filter  o O sort  g hour  h help  q quit",
    "filter": "type words to filter by  Enter keeps  Esc clears",
    "text": "↑↓ scroll  Esc back  q quit",
}


def render(state: State, sample: Sample, width: int, height: int) -> tuple[State, Screen]:
    """Return the screen, and the state with its cursor on a row that the screen shows."""
    if width < LEAST_WIDTH or height < LEAST_HEIGHT:
        text = f"{width}x{height} is too small: at least {LEAST_WIDTH}x{LEAST_HEIGHT}. q quits"
        return state, _screen([[Span(text)]], width, height)
    message = _message(sample, width)[:MOST_MESSAGE_LINES]
    rows = height - FRAME - len(message)
    state, body = _body(state, sample, width, rows)
    body += [()] * (rows - len(body))
    return state, _screen([_header(sample, width), _views(state, sample, width), *body, *message, _keys(state, width)],
                          width, height)  # fmt: skip


def render_all(state: State, sample: Sample, width: int) -> Screen:
    """Return a view with all of its rows, without what belongs to keys."""
    table, view = TABLES[state.view], sample.view
    items = table.listed(state, sample)
    lines: list[Sequence[Span]] = [_header(sample, width)]
    lines += _wrapped_lines(lines_above(state.view, view), width) if view is not None else []
    lines += draw_table(table, state, sample, items, width, len(items), marks=False)
    lines += _message(sample, width)
    return _screen(lines, width, len(lines))


def _screen(lines: Sequence[Sequence[Span]], width: int, height: int) -> Screen:
    return Screen(width, tuple(fit(line, width) for line in lines[:height]))


def _body(state: State, sample: Sample, width: int, rows: int) -> tuple[State, list[Line]]:
    if state.help:
        return _text(state, [*draw_help()], width, rows)
    if state.details is not None:
        return _text(state, [*draw_details(state.details, sample)], width, rows)
    if sample.view is None:
        return state, [(Span("" if sample.problem else "gathering …", DIM),)]
    if state.view is View.GPUS and state.grid:
        return state, draw_grid(sample, width, rows)
    return _list(state, sample, sample.view, width, rows)


def _text(state: State, text: list[Line], width: int, rows: int) -> tuple[State, list[Line]]:
    lines = _wrapped_lines(text, width)
    scroll = max(0, min(state.scroll, len(lines) - rows))
    return replace(state, scroll=scroll, page=rows), lines[scroll : scroll + rows]


def _wrapped_lines(lines: Iterable[Line], width: int) -> list[Line]:
    return [part for line in lines for part in _wrapped(line, width)]


def _wrapped(line: Line, width: int) -> list[Line]:
    """Return the line, in several if its last span is too long; they begin where that span does."""
    if text_width(line_text(line)) <= width:
        return [line]
    *first, (text, style) = line
    indent = text_width(line_text(first))
    parts = textwrap.wrap(text, max(20, width - indent), break_on_hyphens=False) or [""]
    return [(*first, Span(parts[0], style)), *((Span(" " * indent), Span(part, style)) for part in parts[1:])]


def _list(state: State, sample: Sample, view: ServerView, width: int, rows: int) -> tuple[State, list[Line]]:
    table = TABLES[state.view]
    items = table.listed(state, sample)
    above = _wrapped_lines(lines_above(state.view, view), width)[: rows // 3]
    page = rows - len(above) - HEADINGS
    beside = state.view is View.GPUS and width - WIDE - 2 >= GRID_WIDTH
    table_width = width - GRID_WIDTH - 2 if beside else width
    state = settle(state, [table.identity(item) for item in items], page)
    state = replace(state, columns=tuple(column.key for column, _ in fit_columns(table.columns, table_width)))
    if state.view is View.GPUS:
        tree = draw_table(table, state, sample, items, table_width, page)
        return state, _with_grid(tree, sample, width, rows)
    return state, [*above, *draw_table(table, state, sample, items, width, page)]


def _with_grid(tree: list[Line], sample: Sample, width: int, rows: int) -> list[Line]:
    """Return the tree with the grid beside it or below it, if there is room."""
    tree_width = sum(text_width(span.text) for span in tree[0])
    if tree_width == width:
        grid = draw_grid(sample, width, rows)
        return [*tree, (), *grid] if len(tree) + 1 + len(grid) <= rows else tree
    grid = draw_grid(sample, width - tree_width - 2, rows)
    pairs = zip_longest(tree, grid, fillvalue=())
    return [(*fit(left, tree_width), Span("  "), *right) for left, right in pairs]


def _header(sample: Sample, width: int) -> Line:
    view = sample.view
    clock = to_server_zone(sample.now).strftime("%H:%M")
    if view is None:
        return spread([Span("ds01", BOLD)], [Span(clock)], width)
    left = [Span(clean(view.machine.name), BOLD), Span("  free ")]
    if view.simulated:
        left.insert(1, Span(" [simulated]", DIM))
    for number, item in enumerate(sorted(view.supply, key=lambda item: not item.free)):
        kind = clean(item.profile or item.model or item.kind.value)
        text = f"{', ' if number else ''}{item.free} of {item.total} {kind}"
        if item.earliest is not None:
            text += f" (next {format_local_time(item.earliest, view.at)})"
        left.append(Span(text, BOLD if item.free else PLAIN))
    if not view.supply:
        left[-1] = Span("  no GPU" if view.driver is not None else "  GPUs unknown")
    return spread(left, [_age(sample.age), Span(f"  {clock}")], width)


def _age(seconds: float) -> Span:
    if seconds < FRESH:
        return Span("live", DIM)
    return Span(f"{format_duration(timedelta(seconds=int(seconds)))} old", RED | BOLD if seconds > STALE else YELLOW)


def _views(state: State, sample: Sample, width: int) -> Line:
    spans: list[Span] = []
    waiting = len(sample.view.queue) if sample.view is not None else 0
    for number, view in enumerate(VIEWS, 1):
        title = f"{number} {TITLES[view]}"
        if view is View.QUEUE and waiting:
            title += f" {waiting}"
        chosen = view is state.view
        spans.append(Span(f"[{title}]" if chosen else f" {title} ", BOLD | REVERSE if chosen else PLAIN))
    right: list[Span] = []
    if state.filter or state.editing:
        right.append(Span(f"/{clean(state.filter)}{'_' if state.editing else ''}", BOLD))
    elif sample.view is not None and sample.view.complaints:
        right.append(Span(f"{format_count(len(sample.view.complaints), 'complaint')}: 5", YELLOW))
    return spread(spans, right, width) if right else fit(spans, width)


def _message(sample: Sample, width: int) -> list[Line]:
    """Return the lines that say what is wrong with the data, if anything is."""
    if sample.problem is not None:
        return _wrapped((Span(clean(sample.problem), RED | BOLD),), width)
    unknown = sample.view.unknown if sample.view is not None else ()
    return _wrapped((Span(clean("; ".join(unknown)), YELLOW),), width) if unknown else []


def _keys(state: State, width: int) -> Line:
    kind = "filter" if state.editing else "text" if state.help or state.details is not None else "list"
    return fit([Span(KEYS[kind], DIM)], width)
