"""The last events, and above them what needs an administrator, and the last pass of the automation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ds01.api.seeing.events import EventView
from ds01.api.seeing.server_view import ServerView
from ds01.cli.dashboard.sample import Sample
from ds01.cli.dashboard.screen import DIM, RED, YELLOW, Line, Span, clean
from ds01.cli.dashboard.table import EMPTY, Cell, Column, Table
from ds01.cli.ui.formats import format_duration, format_event_time, short_name

MOST_COMPLAINTS = 4  # lines above the events; `ds01 doctor` has all
WARNINGS = ("warning", "refusal", "conflict")


def above(view: ServerView) -> Iterator[Line]:
    """Yield the last tick and the complaints."""
    tick = view.tick
    if tick.started_at is None:
        yield (Span("last tick: never", YELLOW),)
    else:
        took = "" if tick.seconds is None else f", took {tick.seconds:.1f} s"
        failed = f", {clean(tick.errors[0])}" if tick.errors else ""
        text = f"last tick: {format_duration(view.at - tick.started_at)} ago{took}{failed}"
        yield (Span(text, RED if tick.errors else DIM),)
    shown = view.complaints[:MOST_COMPLAINTS]
    more = len(view.complaints) - len(shown)
    for number, complaint in enumerate(shown, 1):
        rest = f" (and {more} more: `sudo ds01 doctor`)" if more and number == len(shown) else ""
        yield (Span(f"! {clean(complaint)}{rest}", YELLOW),)


def _items(sample: Sample, is_sorted: bool) -> Sequence[EventView]:
    """Return the newest first."""
    return sample.events[::-1] if sample.events is not None else ()


def _time(item: EventView, sample: Sample, width: int) -> Cell:
    return Cell(format_event_time(item.time, sample.now), DIM)


def _user(item: EventView, sample: Sample, width: int) -> Cell:
    return Cell(clean(item.user)) if item.user is not None else EMPTY


def _container(item: EventView, sample: Sample, width: int) -> Cell:
    return Cell(clean(short_name(item.container)))


def _type(item: EventView, sample: Sample, width: int) -> Cell:
    return Cell(clean(item.type), DIM)


def _text(item: EventView, sample: Sample, width: int) -> Cell:
    return Cell(clean(item.text), YELLOW if item.type in WARNINGS else 0)


TABLE: Table[EventView] = Table(
    columns=(
        Column("time", "TIME", 15, 0, _time, lambda item: item.time, falling=True),
        Column("user", "USER", 8, 2, _user, lambda item: item.user, most=12),
        Column("container", "CONTAINER", 10, 3, _container, lambda item: short_name(item.container), most=14),
        Column("type", "TYPE", 10, 4, _type, lambda item: item.type),
        Column("text", "WHAT HAPPENED", 20, 1, _text, lambda item: item.text, most=200),
    ),
    items=_items,
    identity=lambda item: f"{item.time} {item.type} {item.container} {item.text}",
    search=lambda item: " ".join(filter(None, (item.user, item.container, item.type, item.actor, item.text))),
    container=lambda item: item.container,
    empty="no events",
)
