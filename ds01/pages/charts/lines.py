"""Lines over time, in steps: each value stands for its whole interval; one without a value is drawn as unknown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ds01.dataclass import dataclass
from ds01.pages.charts.figure import figure, number_text, round_top, series_legend
from ds01.pages.markup import Element, element

WIDTH, HEIGHT = 1000.0, 300.0  # of the drawing, which is stretched to its place


@dataclass(frozen=True)
class Series:
    """The values of one line, one for each interval; None is unknown."""

    name: str
    values: tuple[float | None, ...]


def line_chart(
    title: str,
    series: Sequence[Series],
    labels: Sequence[str],
    *,
    unit: str,
    top: float | None = None,
    note: str | None = None,
) -> Element:
    """Return a chart of lines over equal intervals, all on one scale.

    `labels`: texts at equal distances along the time, from its begin to its end. `top`: the end of the scale; None:
    above the highest value.
    """
    known = [value for line in series for value in line.values if value is not None]
    end = round_top(max(known, default=0.0)) if top is None else top
    gaps = list(_gaps(series))
    shapes = [
        element("title", _summary(title, series, unit)),
        *(element("rect", class_="unknown", x=x, width=width, height=HEIGHT) for x, width in gaps),
        *(element("line", class_="grid", x1=0, x2=WIDTH, y1=y, y2=y) for y in (0.0, HEIGHT / 2, HEIGHT)),
        *(
            element("path", class_=f"s{index}", d=path)
            for index, line in enumerate(series, 1)
            if (path := _path(line.values, end))
        ),
    ]
    drawing = element("svg", shapes, role="img", viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}", preserveAspectRatio="none")
    rows = [element("span", f"{number_text(value)} {unit}".strip()) for value in (end, end / 2, 0.0)]
    plot = element(
        "div",
        element("div", rows, class_="rows", aria_hidden="true"),
        drawing,
        element("div", (element("span", text) for text in labels), class_="columns", aria_hidden="true"),
        class_="plot",
    )
    names = [line.name for line in series]
    return figure(title, plot, legend=series_legend(names, lines=True, unknown=bool(gaps)), note=note)


def _path(values: Sequence[float | None], top: float) -> str:
    """Return the steps of a line; it is broken where a value is unknown."""
    step = WIDTH / max(len(values), 1)
    parts = []
    before: float | None = None
    for index, value in enumerate(values):
        if value is not None:
            y = HEIGHT * (1 - min(max(value / top, 0.0), 1.0))
            parts.append(f"M{index * step:.5g} {y:.5g}" if before is None else f"V{y:.5g}")
            parts.append(f"H{(index + 1) * step:.5g}")
        before = value
    return "".join(parts)


def _gaps(series: Sequence[Series]) -> Iterator[tuple[float, float]]:
    """Yield begin and width of each run of intervals in which no line has a value."""
    length = max((len(line.values) for line in series), default=0)
    missing = [
        all(index >= len(line.values) or line.values[index] is None for line in series) for index in range(length)
    ]
    step, start = WIDTH / max(length, 1), None
    for index, gap in enumerate([*missing, False]):
        if gap and start is None:
            start = index
        elif not gap and start is not None:
            yield start * step, (index - start) * step
            start = None


def _summary(title: str, series: Sequence[Series], unit: str) -> str:
    """Return the lines in words, for screen readers."""
    parts = []
    for line in series:
        known = [value for value in line.values if value is not None]
        if known:
            least, mean, most = (number_text(value) for value in (min(known), sum(known) / len(known), max(known)))
            parts.append(f"{line.name or 'values'} from {least} to {most} {unit}, mean {mean} {unit}")
        else:
            parts.append(f"{line.name or 'values'} unknown")
    return f"{title}: {'; '.join(parts)}"
