"""A heat map: a cell for each row and column, darker where there is more. Unknown cells are drawn as unknown."""

from __future__ import annotations

from collections.abc import Sequence

from ds01.pages.charts.figure import figure, number_text, round_top, scale_legend
from ds01.pages.markup import Element, element

CLASSES = 5  # above zero; the style sheet has q0 to q5
GAP = 0.06  # between cells, as a fraction of a cell


def heat_map(
    title: str,
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[float | None]],
    *,
    unit: str,
    top: float | None = None,
    labelled: Sequence[str] | None = None,
    note: str | None = None,
) -> Element:
    """Return a heat map of `values[row][column]`.

    `top`: the end of the scale; None: above the highest value. `labelled`: texts at equal distances below the columns,
    from left to right; None: all columns.
    """
    known = [value for row in values for value in row if value is not None]
    end = round_top(max(known, default=0.0)) if top is None else top
    cells = [
        element(
            "rect",
            element(
                "title", f"{rows[y]} {columns[x]}: {'unknown' if value is None else f'{number_text(value)} {unit}'}"
            ),
            class_="unknown" if value is None else f"q{heat_class(value, end)}",
            x=x + GAP / 2,
            y=y + GAP / 2,
            width=1 - GAP,
            height=1 - GAP,
        )
        for y, row in enumerate(values)
        for x, value in enumerate(row)
    ]
    drawing = element(
        "svg",
        element("title", title),
        cells,
        class_="map",
        role="img",
        viewBox=f"0 0 {len(columns)} {len(rows)}",
        preserveAspectRatio="none",
    )
    below = columns if labelled is None else labelled
    plot = element(
        "div",
        element("div", (element("span", text) for text in rows), class_="rows cells", aria_hidden="true"),
        drawing,
        element("div", (element("span", text) for text in below), class_="columns", aria_hidden="true"),
        class_="plot",
    )
    bounds = [end * number / CLASSES for number in range(CLASSES + 1)]
    texts = ["0", *(f"to {number_text(bound)} {unit}" for bound in bounds[1:])]
    return figure(title, plot, legend=scale_legend(texts, unknown=len(known) < sum(map(len, values))), note=note)


def _value_text(value: float | None, unit: str) -> str:
    return "unknown" if value is None else f"{number_text(value)} {unit}"


def heat_class(value: float, top: float) -> int:
    """Return the class of a value: 0 for zero, then 1 to 5 in equal steps up to `top`."""
    if value <= 0:
        return 0
    return min(int(value / top * CLASSES * (1 - 1e-9)) + 1, CLASSES)
