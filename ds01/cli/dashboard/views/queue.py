"""The wait queue, and above it when a GPU of each kind comes free."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ds01.api.seeing.server_view import ServerView, SlotSupply, WaitingView
from ds01.cli.dashboard.sample import Sample
from ds01.cli.dashboard.screen import CYAN, GREEN, PLAIN, Line, Span, clean
from ds01.cli.dashboard.table import EMPTY, Cell, Column, Table
from ds01.cli.dashboard.views.cells import UNKNOWN_TEXT, since_cell
from ds01.cli.queue import WAITS_FOR
from ds01.cli.ui.formats import describe_reservation, format_local_time


def _items(sample: Sample, is_sorted: bool) -> Sequence[WaitingView]:
    return sample.view.queue if sample.view is not None else ()


def above(view: ServerView) -> Iterator[Line]:
    """Yield a line for each kind of slot, and one for each reservation."""
    for item in view.supply:
        yield (Span(f"{supply_text(item, view)}", GREEN if item.free else PLAIN),)
    for reservation in view.reservations:
        yield (Span(f"reserved: {clean(describe_reservation(reservation, view.at))}", CYAN),)


def supply_text(item: SlotSupply, view: ServerView) -> str:
    """Return how many slots of a kind are free, or when the next one is: `0 of 2 A100 free, the next at 14:05`."""
    text = f"{item.free} of {item.total} {clean(item.profile or item.model or item.kind.value)} free"
    if item.free:
        return text
    when = UNKNOWN_TEXT if item.earliest is None else f"at {format_local_time(item.earliest, view.at)}"
    return f"{text}, the next {when}"


def _position(item: WaitingView, sample: Sample, width: int) -> Cell:
    return Cell(str(item.position))


def _user(item: WaitingView, sample: Sample, width: int) -> Cell:
    return Cell(clean(item.user))


def _name(item: WaitingView, sample: Sample, width: int) -> Cell:
    return Cell(clean(item.name))


def _wants(item: WaitingView, sample: Sample, width: int) -> Cell:
    kind = item.gpus.profile or item.gpus.type.value
    return Cell(f"{1 if item.gpus.count is None else item.gpus.count} {clean(kind)}")


def _since(item: WaitingView, sample: Sample, width: int) -> Cell:
    return EMPTY if sample.view is None else since_cell(item.since, sample.view.at, width)


def _earliest(item: WaitingView, sample: Sample, width: int) -> Cell:
    if sample.view is None or item.why is None:
        return Cell("now", GREEN)
    return Cell(UNKNOWN_TEXT if item.earliest is None else format_local_time(item.earliest, sample.view.at))


def _why(item: WaitingView, sample: Sample, width: int) -> Cell:
    return Cell(clean(WAITS_FOR.get(item.why, item.why or "")))


TABLE: Table[WaitingView] = Table(
    columns=(
        Column("position", "#", 3, 0, _position, lambda item: item.position, right=True),
        Column("user", "USER", 10, 1, _user, lambda item: item.user, most=20),
        Column("name", "FOR", 10, 2, _name, lambda item: item.name, most=30),
        Column("wants", "WANTS", 10, 3, _wants, lambda item: item.gpus.count or 1, most=16, falling=True),
        Column("since", "WAITS", 5, 4, _since, lambda item: -item.since.timestamp(), most=6, right=True, falling=True),
        Column(
            "earliest", "FREE FROM", 9, 5, _earliest,
            lambda item: None if item.earliest is None else item.earliest.timestamp(), most=16,
        ),
        Column("why", "WAITS FOR", 12, 6, _why, lambda item: item.why, most=40),
        Column(
            "priority", "PRIO", 4, 7, lambda item, sample, width: Cell(str(item.priority)), lambda item: item.priority,
            right=True, falling=True,
        ),
    ),
    items=_items,
    identity=lambda item: item.id,
    search=lambda item: f"{item.user} {item.name} {item.why or ''}",
    container=lambda item: None,
    user=lambda item: item.user,
    empty="nobody waits",
)  # fmt: skip
