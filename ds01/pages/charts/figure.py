"""What all charts share: caption, legend, explanation, and scales that end at a round number."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ds01.pages.markup import Content, Element, element

COLOURS = 6  # series that the style sheet can tell apart


def figure(title: str, *content: Content, legend: Content = None, note: str | None = None) -> Element:
    """Return a chart with its title above, and its legend and explanation below."""
    return element(
        "figure",
        element("figcaption", element("h3", title)),
        *content,
        legend,
        None if note is None else element("p", element("small", note)),
    )


def series_legend(names: Sequence[str], *, lines: bool = False, unknown: bool = False) -> Element | None:
    """Return the legend of several series; None if it would say nothing. `unknown`: something in it is unknown."""
    samples = [(f"s{index}" if lines else f"c{index}", name) for index, name in enumerate(names, 1)]
    entries = [_entry(kind, name) for kind, name in samples] if len(names) > 1 else []
    return legend([*entries, *([_entry("unknown", "unknown")] if unknown else [])])


def scale_legend(texts: Sequence[str], *, unknown: bool = False) -> Element | None:
    """Return the legend of a heat map, from the lowest class to the highest."""
    entries = [_entry(f"q{index}", text) for index, text in enumerate(texts)]
    return legend([*entries, *([_entry("unknown", "unknown")] if unknown else [])])


def legend(entries: Sequence[Element]) -> Element | None:
    """Return a legend of entries."""
    return element("ul", entries, class_="legend") if entries else None


def _entry(kind: str, name: str) -> Element:
    shape = (
        element("path", class_=kind, d="M0 5H20")
        if kind.startswith("s")
        else element("rect", class_=kind, width=20, height=10)
    )
    sample = element("svg", shape, viewBox="0 0 20 10", preserveAspectRatio="none", aria_hidden="true")
    return element("li", sample, name)


def round_top(highest: float) -> float:
    """Return the least of 1, 2, 2.5, 4, 5, 8 or 10 times a power of ten that is not below `highest`; at least 1."""
    if highest <= 1:
        return 1.0
    power = 10.0 ** math.floor(math.log10(highest))
    return next(step * power for step in (1, 2, 2.5, 4, 5, 8, 10) if step * power >= highest * (1 - 1e-9))


def number_text(number: float) -> str:
    """Return a number with at most one decimal, and with thousands apart: `12`, `2.5`, `1 250`."""
    text = f"{number:,.0f}" if number >= 100 or number == round(number) else f"{number:,.1f}"
    return text.replace(",", " ")
