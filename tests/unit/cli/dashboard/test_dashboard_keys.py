"""What each key of the dashboard changes."""

from __future__ import annotations

import curses
from dataclasses import replace

import pytest

from ds01.cli.dashboard.keys import handle_key
from ds01.cli.dashboard.render import render
from ds01.cli.dashboard.sample import Sample
from ds01.cli.dashboard.state import State, View
from ds01.cli.dashboard.terminal import parse_keys
from ds01.cli.dashboard.views.tables import TABLES
from tests.harness import Harness


def press(sample: Sample, *keys: str, state: State | None = None, height: int = 24) -> State:
    state = render(state or State(), sample, 80, height)[0]
    for key in keys:
        state = render(handle_key(state, key, sample), sample, 80, height)[0]
    return state


def selected(state: State, sample: Sample) -> object:
    table = TABLES[state.view]
    return next(item for item in table.listed(state, sample) if table.identity(item) == state.cursor.identity)


@pytest.mark.parametrize(("key", "view"), [*zip("12345", View, strict=True)])
def test_numbers_choose_the_view(key: str, view: View, sample: Sample) -> None:
    assert press(sample, key).view is view


def test_tab_goes_round_the_views(sample: Sample) -> None:
    assert press(sample, *["tab"] * 5).view is View.GPUS
    assert press(sample, "back_tab").view is View.EVENTS


def test_each_view_keeps_its_selection(sample: Sample) -> None:
    state = press(sample, "down", "down", "2", "down", "1")
    assert state.cursor.index == 2 and state.cursors[View.CONTAINERS].index == 1


@pytest.mark.parametrize(
    ("keys", "index"),
    [
        (["down", "j"], 2),
        (["down", "down", "up", "k"], 0),
        (["up"], 0),
        (["end"], 5),
        (["end", "down"], 5),
        (["end", "home"], 0),
        (["page_down"], 5),
        (["page_down", "page_up"], 0),
    ],
)
def test_movement_stays_within_the_rows(keys: list[str], index: int, sample: Sample) -> None:
    assert press(sample, *keys).cursor.index == index


def test_the_selection_follows_its_row(sample: Sample) -> None:
    state = press(sample, "2", "end")
    assert sample.view is not None
    moved = replace(sample, view=replace(sample.view, containers=sample.view.containers[::-1]))
    state = render(state, moved, 80, 24)[0]
    assert (state.cursor.index, state.cursor.identity) == (0, "carols-job._.70003")


def test_the_selection_stays_in_place_when_its_row_is_gone(sample: Sample) -> None:
    state = press(sample, "2", "down")
    assert sample.view is not None
    fewer = replace(sample, view=replace(sample.view, containers=sample.view.containers[::2]))
    assert render(state, fewer, 80, 24)[0].cursor.identity == "carols-job._.70003"


def test_the_selected_row_is_scrolled_to(sample: Sample) -> None:
    state = press(sample, "end", height=12)
    rows = state.page
    assert state.cursor.top <= state.cursor.index < state.cursor.top + rows
    assert press(sample, "home", state=state, height=12).cursor.top == 0


def test_a_filter_is_typed_and_kept(sample: Sample) -> None:
    state = press(sample, "/", *"bobx", "backspace", "enter")
    assert (state.filter, state.editing, state.view) == ("bob", False, View.GPUS)


def test_while_a_filter_is_typed_letters_are_not_commands(sample: Sample) -> None:
    state = press(sample, "/", *"q1h")
    assert (state.filter, state.ended, state.help) == ("q1h", False, False)


def test_all_words_of_a_filter_must_occur(sample: Sample) -> None:
    table = TABLES[View.CONTAINERS]
    found = table.listed(press(sample, "2", "/", *"running ALI", "enter"), sample)
    assert [item.container.user for item in found] == ["alice"]


def test_escape_clears_the_filter(sample: Sample) -> None:
    assert press(sample, "/", *"bob", "enter", "escape").filter == ""
    state = press(sample, "/", *"bob", "escape")
    assert (state.filter, state.editing) == ("", False)


def test_a_filter_has_an_end(sample: Sample) -> None:
    assert len(press(sample, "/", *"x" * 100).filter) == 60


def test_sorting_goes_through_the_shown_columns_and_back(sample: Sample) -> None:
    columns = press(sample).columns
    seen = [press(sample, *["o"] * count).order.column for count in range(1, len(columns) + 2)]
    assert seen == [*columns, None]


def test_capital_o_reverses(sample: Sample) -> None:
    state = press(sample, "2", "o")
    names = [item.container.name for item in TABLES[state.view].listed(state, sample)]
    state = press(sample, "O", state=state)
    assert [item.container.name for item in TABLES[state.view].listed(state, sample)] == names[::-1]


def test_unknown_values_are_sorted_last_in_both_directions(sample: Sample) -> None:
    state = press(sample, *["o"] * 8)
    assert state.order.column == "now"
    for each in (state, press(sample, "O", state=state)):
        values = [item.utilisation_percent for item in TABLES[View.GPUS].listed(each, sample)]
        assert values[-2:] == [None, None] and None not in values[:-2]


def test_enter_opens_the_container_and_escape_closes_it(sample: Sample) -> None:
    state = press(sample, "down", "enter")
    assert state.details == "alices-job._.70001"
    assert press(sample, "escape", state=state).details is None


def test_enter_on_a_free_slot_opens_nothing(sample: Sample) -> None:
    assert press(sample, "end", "enter").details is None


def test_enter_on_a_user_shows_their_containers(sample: Sample) -> None:
    state = press(sample, "3", "down", "down", "enter")
    assert (state.view, state.filter) == (View.CONTAINERS, "bob")


def test_details_scroll_as_far_as_there_are_lines(sample: Sample) -> None:
    state = press(sample, "down", "enter", "end", height=12)
    assert state.scroll > 0 and press(sample, "page_down", state=state, height=12).scroll == state.scroll
    assert press(sample, "home", state=state, height=12).scroll == 0


@pytest.mark.parametrize("key", ["h", "?", "f1"])
def test_help_opens_and_closes(key: str, sample: Sample) -> None:
    assert press(sample, key).help
    assert not press(sample, key, key).help


def test_g_shows_the_grid_alone(sample: Sample) -> None:
    assert press(sample, "g").grid
    assert not press(sample, "g", "escape").grid


@pytest.mark.parametrize("keys", [["q"], ["h", "q"], ["down", "enter", "q"]])
def test_q_quits_everywhere(keys: list[str], sample: Sample) -> None:
    assert press(sample, *keys).ended


@pytest.mark.parametrize("key", ["K", "k", "t", "T", "s", "d", "x", "delete", "9", "0", "é", "²"])
def test_other_keys_do_nothing(key: str, sample: Sample) -> None:
    assert press(sample, key) == press(sample)


def test_no_key_changes_a_container(harness: Harness, sample: Sample) -> None:
    before = harness.records()
    for view in "12345":
        press(sample, view, *"abcdefgijklmnoprstuvwxyzABCDEFGIJKLMNOPRSTUVWXYZ", "enter", "delete", " ")
    assert harness.records() == before


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        (["j", "\n"], ["j", "enter"]),
        ([curses.KEY_NPAGE, curses.KEY_RESIZE], ["page_down"]),
        (["\x1b"], ["escape"]),
        (["\x1b", "q"], []),
        (["\x1b", "[", "B", "q"], ["down", "q"]),
        (["\x1b", "[", "1", ";", "5", "A"], ["up"]),
        (["\x1b", "[", "2", "0", "0", "~", "x"], ["x"]),
        (["\x00", "é"], ["é"]),
    ],
)
def test_keys_have_names(typed: list[str | int], names: list[str]) -> None:
    assert parse_keys(typed) == names


def test_keys_work_before_the_first_view(sample: Sample) -> None:
    empty = Sample(sample.now)
    assert press(empty, "down", "enter", "o", "2", "end", "/", "x", "enter", "g").view is View.CONTAINERS
