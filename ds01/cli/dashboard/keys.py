"""What each key changes. Pure: a state and a key give a state. No key acts on a container."""

from __future__ import annotations

from dataclasses import replace

from ds01.cli.dashboard.sample import Sample
from ds01.cli.dashboard.state import VIEWS, Cursor, Order, State, View
from ds01.cli.dashboard.table import Table
from ds01.cli.dashboard.views.tables import TABLES

LONGEST_FILTER = 60
QUIT, HELP = ("q",), ("h", "?", "f1")
NEXT_VIEW, PREVIOUS_VIEW = ("tab", "right"), ("back_tab", "left")
LINES = {"down": 1, "j": 1, "up": -1, "k": -1}
PAGES = {"page_down": 1, "page_up": -1}
ENDS = ("home", "end")


def handle_key(state: State, key: str, sample: Sample) -> State:
    """Return the state after a key: a letter, or a name such as `page_down`. Unknown keys change nothing."""
    if state.editing:
        return _edit(state, key)
    if key in QUIT:
        return replace(state, ended=True)
    if state.help or state.details is not None:
        return _read(state, key)
    if key in HELP:
        return replace(state, help=True, scroll=0)
    if key.isdecimal() and 1 <= int(key) <= len(VIEWS):
        return replace(state, view=VIEWS[int(key) - 1])
    if key in NEXT_VIEW or key in PREVIOUS_VIEW:
        step = 1 if key in NEXT_VIEW else -1
        return replace(state, view=VIEWS[(VIEWS.index(state.view) + step) % len(VIEWS)])
    if key == "/":
        return replace(state, editing=True)
    if key == "g" and state.view is View.GPUS:
        return replace(state, grid=not state.grid)
    return _handle_list_key(state, key, sample)


def _edit(state: State, key: str) -> State:
    if key == "enter":
        return replace(state, editing=False)
    if key == "escape":
        return replace(state, editing=False, filter="")
    if key == "backspace":
        return replace(state, filter=state.filter[:-1])
    if len(key) == 1 and key.isprintable() and len(state.filter) < LONGEST_FILTER:
        return replace(state, filter=state.filter + key)
    return state


def _read(state: State, key: str) -> State:
    """Scroll help or details, or go back."""
    if key in ("escape", "backspace", "enter") or (state.help and key in HELP):
        return replace(state, help=False, scroll=0) if state.help else replace(state, details=None, scroll=0)
    if key in HELP:
        return replace(state, help=True, scroll=0)
    step = LINES.get(key, PAGES.get(key, 0) * state.page)
    if key in ENDS:
        step = -state.scroll if key == "home" else 1 << 20  # the layout knows where the end is
    return replace(state, scroll=max(0, state.scroll + step))


def _handle_list_key(state: State, key: str, sample: Sample) -> State:
    table = TABLES[state.view]
    if key in ("o", "O"):
        return _sort(state, key, table)
    if key == "escape":
        if state.grid:
            return replace(state, grid=False)
        return replace(state, filter="") if state.filter else state.with_order(Order())
    if key == "enter":
        return _open(state, table, sample)
    items = table.listed(state, sample)
    step = LINES.get(key, PAGES.get(key, 0) * state.page)
    if not items or (not step and key not in ENDS):
        return state
    index = state.cursor.index + step
    if key in ENDS:
        index = 0 if key == "home" else len(items) - 1
    index = max(0, min(index, len(items) - 1))
    return state.with_cursor(Cursor(table.identity(items[index]), index, state.cursor.top))


def _sort(state: State, key: str, table: Table[object]) -> State:
    """`o`: the next column, after the last one the view's own order. `O`: the other direction."""
    order = state.order
    if key == "O":
        return state if order.column is None else state.with_order(replace(order, descending=not order.descending))
    columns = [None, *(column.key for column in table.columns if column.key in state.columns)]
    position = columns.index(order.column) if order.column in columns else 0
    following = columns[(position + 1) % len(columns)]
    falling = any(column.key == following and column.falling for column in table.columns)
    return state.with_order(Order(following, falling))


def _open(state: State, table: Table[object], sample: Sample) -> State:
    """Show the details of the selected row's container, or the containers of the selected user."""
    items = table.listed(state, sample)
    item = next((item for item in items if table.identity(item) == state.cursor.identity), None)
    if item is None:
        return state
    if (container := table.container(item)) is not None:
        return replace(state, details=container, scroll=0)
    if state.view is View.USERS and (user := table.user(item)) is not None:
        return replace(state, view=View.CONTAINERS, filter=user)
    return state
