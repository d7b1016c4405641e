"""Screens of the dashboard against kept ones, at 80x24 and 200x50.

DS01_WRITE_SCREENS=1 writes them instead: look at what changed.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from ds01.cli.dashboard.keys import handle_key
from ds01.cli.dashboard.render import render, render_all
from ds01.cli.dashboard.sample import Sample
from ds01.cli.dashboard.screen import CYAN, GREEN, RED, REVERSE, YELLOW, Screen, line_text
from ds01.cli.dashboard.state import State, View
from ds01.cli.ui.width import text_width

KEPT = Path(__file__).with_name("screens")
SIZES = [(80, 24), (200, 50)]
ODD_NAMES = [
    "日本語の名前",
    "e\u0301e\u0301e\u0301",
    "שלום",
    "a\x1b[31mred\x07",
    "line\nbreak",
    "\u202eevil",
    "x" * 300,
]


def screen_of(sample: Sample, width: int, height: int, *keys: str, state: State | None = None) -> Screen:
    state, screen = render(state or State(), sample, width, height)
    for key in keys:
        state = handle_key(state, key, sample)
        state, screen = render(state, sample, width, height)
    return screen


def compare(name: str, screen: Screen) -> None:
    path = KEPT / f"{name}.txt"
    text = screen.text() + "\n"
    if os.environ.get("DS01_WRITE_SCREENS"):
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("view", list(View))
def test_each_view_is_as_kept(view: View, width: int, height: int, sample: Sample) -> None:
    compare(f"{view.value}-{width}x{height}", screen_of(sample, width, height, state=State(view)))


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("details", ["down", "enter"]),
        ("help", ["h"]),
        ("grid", ["g"]),
        ("filtered", ["/", "b", "o", "b", "enter"]),
        ("sorted", ["o", "o", "o", "o", "o"]),
    ],
)
def test_what_keys_show_is_as_kept(name: str, keys: list[str], sample: Sample) -> None:
    compare(f"{name}-80x24", screen_of(sample, 80, 24, *keys))


def test_a_view_is_printed_whole(sample: Sample) -> None:
    compare("printed", render_all(State(View.CONTAINERS), sample, 100))


@pytest.mark.parametrize("width", [60, 61, 79, 80, 100, 133, 160, 200, 300])
@pytest.mark.parametrize("height", [12, 24, 50])
@pytest.mark.parametrize("view", list(View))
def test_every_line_fits(view: View, width: int, height: int, sample: Sample) -> None:
    screen = screen_of(sample, width, height, state=State(view))
    assert len(screen.lines) == height
    assert {text_width(line_text(line)) for line in screen.lines} == {width}


@pytest.mark.parametrize("name", ODD_NAMES)
@pytest.mark.parametrize("view", list(View))
def test_odd_names_neither_control_the_terminal_nor_move_columns(view: View, name: str, sample: Sample) -> None:
    assert sample.view is not None and sample.events is not None
    server = replace(
        sample.view,
        slots=tuple(replace(slot, user=name, name=name, why=name) for slot in sample.view.slots),
        containers=tuple(
            replace(
                item, group=name, container=replace(item.container, name=name, user=name, image=name, conflict=name)
            )
            for item in sample.view.containers
        ),
        users=tuple(replace(user, user=name) for user in sample.view.users),
        queue=tuple(replace(item, user=name, name=name, why=name) for item in sample.view.queue),
        complaints=(name,),
        unknown=(name,),
    )
    events = tuple(replace(event, user=name, container=name, text=name) for event in sample.events)
    odd = replace(sample, view=server, events=events, problem=name)
    for keys in ([], ["enter"], ["down", "enter"]):
        screen = screen_of(odd, 120, 30, *keys, state=State(view))
        assert screen.text().replace("\n", "").isprintable()
        assert {text_width(line_text(line)) for line in screen.lines} == {120}


def test_a_small_terminal_is_told_the_least_size(sample: Sample) -> None:
    assert screen_of(sample, 59, 30).text().startswith("59x30 is too small: at least 60x12")
    assert screen_of(sample, 60, 11).text().startswith("60x11 is too small")


def test_before_the_first_view_it_says_what_it_waits_for(sample: Sample) -> None:
    assert "gathering" in screen_of(Sample(sample.now), 80, 24).text()


def test_a_problem_stands_below_the_last_good_view(sample: Sample) -> None:
    screen = screen_of(replace(sample, problem="Docker does not answer", age=75.0), 80, 24)
    assert "Docker does not answer" in screen.text().splitlines()[-2]
    assert "1m old" in screen.text().splitlines()[0] and "alice (alices" in screen.text()


def test_a_long_problem_takes_two_lines(sample: Sample) -> None:
    words = "Docker does not answer: " + "waited " * 40
    lines = screen_of(replace(sample, problem=words), 80, 24).text().splitlines()
    assert lines[-3].startswith("Docker does not answer") and lines[-2].startswith("waited")
    assert len(lines) == 24 and lines[-1].endswith("q quit")


def test_long_lines_of_details_are_broken_under_their_beginning(sample: Sample) -> None:
    assert sample.view is not None
    containers = tuple(
        replace(item, container=replace(item.container, image="registry.example/" + "part/" * 5 + "an image " * 9))
        for item in sample.view.containers
    )
    long = replace(sample, view=replace(sample.view, containers=containers))
    lines = screen_of(long, 80, 24, "down", "enter").text().splitlines()
    number = next(number for number, line in enumerate(lines) if line.startswith("Image"))
    assert lines[number + 1].startswith(" " * 12 + "image") or lines[number + 1].startswith(" " * 12 + "an image")


def test_unknown_is_never_drawn_as_zero(sample: Sample) -> None:
    row = next(line for line in screen_of(sample, 80, 24).text().splitlines() if line.startswith("└1:2"))
    assert "░░░    ?" in row and "0%" not in row and "0b" not in row


def test_the_same_data_gives_the_same_screen(sample: Sample) -> None:
    assert screen_of(sample, 80, 24) == screen_of(sample, 80, 24)


def test_the_selected_row_is_reversed(sample: Sample) -> None:
    screen = screen_of(sample, 80, 24, "down")
    reversed_rows = [row for row, line in enumerate(screen.lines) if all(span.style & REVERSE for span in line)]
    assert reversed_rows == [4]


def test_without_colours_each_screen_says_the_same(sample: Sample) -> None:
    """What is coloured differs in its text too: two cells of one text never have two colours."""
    colours: dict[str, set[int]] = {}
    for line in screen_of(sample, 200, 50, state=State(View.CONTAINERS)).lines[3:]:
        for span in line:
            colours.setdefault(span.text.strip(), set()).add(span.style & (GREEN | YELLOW | RED | CYAN))
    assert not {text: found for text, found in colours.items() if len(found) > 1 and text not in ("", "–")}


def test_the_page_about_the_dashboard_shows_a_kept_screen() -> None:
    page = (Path(__file__).resolve().parents[4] / "docs" / "dashboard.md").read_text("utf-8")
    (name, shown), *others = re.findall(r"<!-- screen ([\w-]+) -->\n```text\n(.*?)```", page, re.DOTALL)
    assert shown == re.sub(r"\n{3,}", "\n\n", (KEPT / f"{name}.txt").read_text()) and not others
