"""The charts: proportions, scales, and what unknown looks like."""

from __future__ import annotations

import pytest

from ds01.pages.charts.bars import Bar, bar_chart, stacked_bar
from ds01.pages.charts.figure import number_text, round_top
from ds01.pages.charts.heat_map import heat_class, heat_map
from ds01.pages.charts.lines import Series, line_chart
from ds01.pages.markup import Element, render


def find(node: Element, tag: str, kind: str | None = None) -> list[dict[str, str]]:
    """Return the attributes of all elements of a tag, and of a class, below a node."""
    found = []
    for child in node.children:
        if isinstance(child, Element):
            attributes = dict(child.attributes)
            if child.tag == tag and kind in (None, attributes.get("class")):
                found.append(attributes)
            found += find(child, tag, kind)
    return found


@pytest.mark.parametrize(("highest", "top"), [(0, 1), (1.01, 2), (97, 100), (100, 100), (101, 200), (2400, 2500)])
def test_a_scale_ends_at_a_round_number(highest: float, top: float) -> None:
    assert round_top(highest) == top


@pytest.mark.parametrize(("number", "text"), [(0, "0"), (2.5, "2.5"), (12.0, "12"), (1250.4, "1 250"), (0.04, "0.0")])
def test_numbers_are_short(number: float, text: str) -> None:
    assert number_text(number) == text


def test_parts_of_a_bar_follow_each_other() -> None:
    first, second = find(stacked_bar((25, 50), 100), "rect")[1:]
    assert (first["x"], first["width"], second["x"], second["width"]) == ("0", "250", "250", "500")


def test_little_is_not_drawn_as_nothing() -> None:
    assert find(stacked_bar((0.001,), 100), "rect", "c1") != []
    assert find(stacked_bar((0,), 100), "rect", "c1") == []


def test_an_unknown_bar_is_not_empty_but_unknown() -> None:
    assert find(stacked_bar((None,), 100), "rect", "unknown") != []
    assert find(stacked_bar((0,), 100), "rect", "unknown") == []


def test_the_unknown_end_of_a_bar_has_its_length() -> None:
    (first, end) = find(stacked_bar((25,), 100, unknown=50), "rect")[1:]
    assert (first["class"], end["class"], end["x"], end["width"]) == ("c1", "unknown", "250", "500")


def test_bars_have_their_numbers_in_words() -> None:
    page = render(bar_chart("Hours", [Bar("alice", (3.0,), "3 h")]))
    assert "alice" in page and "3 h" in page


def test_a_line_is_broken_where_it_is_unknown() -> None:
    chart = line_chart("Use", [Series("", (10.0, None, 20.0))], ["a", "b"], unit="%", top=100)
    (path,) = find(chart, "path", "s1")
    assert path["d"].count("M") == 2
    (gap,) = (shape for shape in find(chart, "rect", "unknown") if "x" in shape)
    assert (gap["x"], gap["width"]) == ("333.333", "333.333")


def test_a_line_without_values_is_unknown_throughout() -> None:
    chart = line_chart("Use", [Series("", (None, None))], [], unit="%")
    assert find(chart, "path", "s1") == []
    assert "unknown" in render(chart)


@pytest.mark.parametrize(("value", "expected"), [(0, 0), (0.1, 1), (20, 1), (21, 2), (100, 5), (120, 5)])
def test_classes_of_a_heat_map(value: float, expected: int) -> None:
    assert heat_class(value, 100) == expected


def test_an_unknown_cell_is_not_the_lowest_class() -> None:
    chart = heat_map("Week", ["Mon"], ["0", "1"], [[None, 0.0]], unit="%", top=100)
    assert "Mon 0: unknown" in render(chart)
    assert "Mon 1: 0 %" in render(chart)
