"""Horizontal bars, also stacked, and the small bar within a table."""

from __future__ import annotations

from collections.abc import Sequence

from ds01.dataclass import dataclass
from ds01.pages.charts.figure import figure, round_top, series_legend
from ds01.pages.markup import Content, Element, element

WIDTH = 1000.0  # of the drawing, which is stretched to its place


@dataclass(frozen=True)
class Bar:
    """A row of a bar chart: its parts one after the other, and its numbers in words. A part that is None is unknown.

    `unknown`: the length of a part at the end of which nothing more is known.
    """

    label: Content
    parts: tuple[float | None, ...]
    text: str
    unknown: float = 0.0


def bar_chart(title: str, rows: Sequence[Bar], *, series: Sequence[str] = ("",), note: str | None = None) -> Element:
    """Return a chart with a bar for each row, all on one scale.

    `series`: the names of the parts.
    """
    top = round_top(max((_known_sum(row.parts) + row.unknown for row in rows), default=0.0))
    unknown = any(None in row.parts or row.unknown > 0 for row in rows)
    body = [
        element(
            "tr",
            element("th", row.label, scope="row", role="rowheader", class_="label"),
            element("td", stacked_bar(row.parts, top, unknown=row.unknown), role="cell", class_="drawing"),
            element("td", row.text, role="cell", class_="value"),
            role="row",
        )
        for row in rows
    ]
    # The roles are explicit, since browsers forget them for a table that is laid out otherwise on a phone.
    table = element("table", element("tbody", body, role="rowgroup"), class_="bars", role="table", aria_label=title)
    return figure(title, table, legend=series_legend(series, unknown=unknown), note=note)


def stacked_bar(parts: Sequence[float | None], top: float, *, unknown: float = 0.0) -> Element:
    """Return a bar of several parts, as wide as its place. It is hidden from screen readers: a number stands beside it.

    If all of it is unknown, the whole bar is drawn so; a single unknown part has no length. `unknown`: the length of an
    unknown part at the end.
    """
    shapes = [element("rect", class_="track", width=WIDTH, height=10)]
    if parts and all(part is None for part in parts):
        parts, unknown = (), top
    x = 0.0
    kinds = [*(f"c{index}" for index in range(1, len(parts) + 1)), "unknown"]
    for kind, part in zip(kinds, (*parts, unknown), strict=True):
        width = min(max(part or 0.0, 0.0) / top * WIDTH, WIDTH - x)
        if part is not None and part > 0:
            width = max(width, 4.0)  # little is not nothing
            shapes.append(element("rect", class_=kind, x=x, width=width, height=10))
            x += width
    view = f"0 0 {WIDTH:g} 10"
    return element("svg", shapes, class_="bar", viewBox=view, preserveAspectRatio="none", aria_hidden="true")


def percent_bar(percent: float | None) -> Element:
    """Return a bar for a percentage."""
    return stacked_bar((percent,), 100)


def _known_sum(parts: Sequence[float | None]) -> float:
    return sum(part for part in parts if part is not None)
