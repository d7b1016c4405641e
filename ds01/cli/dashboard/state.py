"""What the user has chosen on the screen: view, selection, order, filter. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from enum import Enum

from ds01.dataclass import dataclass


class View(Enum):
    """The views, in the order of their number keys."""

    GPUS = "gpus"
    CONTAINERS = "containers"
    USERS = "users"
    QUEUE = "queue"
    EVENTS = "events"


VIEWS = tuple(View)
TITLES = {
    View.GPUS: "GPUs",
    View.CONTAINERS: "Containers",
    View.USERS: "Users",
    View.QUEUE: "Queue",
    View.EVENTS: "Events",
}


@dataclass(frozen=True)
class Cursor:
    """The selected row by what it stands for, since rows move; its place counts if it has gone. `top`: first shown."""

    identity: str | None = None
    index: int = 0
    top: int = 0


@dataclass(frozen=True)
class Order:
    """The sorted column; None: the view's own order."""

    column: str | None = None
    descending: bool = False


@dataclass(frozen=True)
class State:
    """Everything that keys change. `details`: a container's full name. `scroll`: the first line of help or details.

    The layout sets `page`, the rows that fit the screen, and `columns`, the keys of those that it has room for.
    """

    view: View = View.GPUS
    cursors: Mapping[View, Cursor] = field(default_factory=dict)
    orders: Mapping[View, Order] = field(default_factory=dict)
    filter: str = ""
    editing: bool = False
    details: str | None = None
    help: bool = False
    grid: bool = False
    scroll: int = 0
    page: int = 1
    columns: tuple[str, ...] = ()
    ended: bool = False

    @property
    def cursor(self) -> Cursor:
        """The cursor of the current view."""
        return self.cursors.get(self.view, Cursor())

    @property
    def order(self) -> Order:
        """The order of the current view."""
        return self.orders.get(self.view, Order())

    def with_cursor(self, cursor: Cursor) -> State:
        """Return the state with another cursor in the current view."""
        return replace(self, cursors={**self.cursors, self.view: cursor})

    def with_order(self, order: Order) -> State:
        """Return the state with another order of the current view."""
        return replace(self, orders={**self.orders, self.view: order})
