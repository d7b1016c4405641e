"""Horizontal bars, also stacked, and the small bar within a table."""

from __future__ import annotations

from collections.abc import Sequence

from ds01.dataclass import dataclass
from ds01.pages.charts.figure import figure, round_top, series_legend
from ds01.pages.markup import Content, Element, element


@dataclass(frozen=True)
class Bar:
    """A row of a bar chart: its parts one after the other, and its numbers in words. A part that is None is unknown."""

    label: Content
    parts: tuple[float | None, ...]
    text: str


def bar_chart(
    title: str, rows: Sequence[Bar], *, label: str, series: Sequence[str] = ("",), note: str | None = None
) -> Element:
    """Return a chart with a bar for each row, all on one scale.

    `label`: the heading of the labels, for screen readers. `series`: the names of the parts.
    """
    top = round_top(max((_known_sum(row.parts) for row in rows), default=0.0))
    unknown = any(None in row.parts for row in rows)
    body = [
        element(
            "tr",
            element("th", row.label, scope="row"),
            element("td", stacked_bar(row.parts, top)),
            element("td", row.text, class_="number"),
        )
        for row in rows
    ]
    headings = [element("th", text, scope="col") for text in (label, "Bar", "Value")]
    head = element("thead", element("tr", headings), class_="hidden")
    table = element("table", element("caption", title, class_="hidden"), head, element("tbody", body), class_="bars")
    return figure(title, table, legend=series_legend(series, unknown=unknown), note=note)


def stacked_bar(parts: Sequence[float | None], top: float) -> Element:
    """Return a bar of several parts, as wide as its place. It is hidden from screen readers: a number stands beside it.

    If all of it is unknown, the whole bar is drawn so; a single unknown part has no length.
    """
    if parts and all(part is None for part in parts):
        shapes = [element("rect", class_="unknown", width=1000, height=10)]
    else:
        shapes = [element("rect", class_="track", width=1000, height=10)]
        x = 0.0
        for index, part in enumerate(parts, 1):
            width = min(max(part or 0.0, 0.0) / top, 1.0) * 1000
            if width > 0:
                width = max(width, 4.0)  # little is not nothing
                shapes.append(element("rect", class_=f"c{index}", x=x, width=width, height=10))
                x += width
    return element("svg", shapes, class_="bar", viewBox="0 0 1000 10", preserveAspectRatio="none", aria_hidden="true")


def percent_bar(percent: float | None) -> Element:
    """Return a bar for a percentage."""
    return stacked_bar((percent,), 100)


def _known_sum(parts: Sequence[float | None]) -> float:
    return sum(part for part in parts if part is not None)
