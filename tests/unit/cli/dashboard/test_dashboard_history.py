"""The history of the last hour: curves and the grid of owners."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from ds01.api.seeing.operations import SlotUse
from ds01.api.seeing.server_view import ServerView
from ds01.cli.dashboard.history import MINUTES, History, Use
from ds01.cli.dashboard.sample import Sample
from tests.harness import NOON


@pytest.fixture
def view(sample: Sample) -> ServerView:
    assert sample.view is not None
    return sample.view


def at(view: ServerView, minutes: float, percent: float | None, user: str = "alice") -> ServerView:
    slot = replace(view.slots[0], utilisation_percent=percent, user=user)
    return replace(view, at=NOON + timedelta(minutes=minutes), slots=(slot,), gpus=())


def curve(history: History, view: ServerView, minutes: float, columns: int = 6) -> str:
    return history.curve(f"slot {view.slots[0].uuid}", NOON + timedelta(minutes=minutes), columns)


def test_a_curve_has_the_present_at_the_right(view: ServerView) -> None:
    history = History()
    for minute in range(MINUTES):
        history.add(at(view, minute, 100.0 if minute >= 50 else 0.0))
    assert curve(history, view, 59) == "▁▁▁▁▁█"
    assert curve(history, view, 69) == "▁▁▁▁█ "


def test_unknown_is_not_zero_and_not_sampled_is_neither(view: ServerView) -> None:
    history = History()
    history.add(at(view, 45, None))
    history.add(at(view, 55, 0.0))
    assert curve(history, view, 59) == "    ░▁"


def test_samples_of_a_minute_are_averaged(view: ServerView) -> None:
    history = History()
    for second, percent in ((0, 0.0), (20, 100.0), (40, None)):
        history.add(at(view, 59 + second / 60, percent))
    assert curve(history, view, 59, columns=60)[-1] == "▅"


def test_the_grid_has_the_mean_use_and_the_number_of_slots_of_each_owner(view: ServerView) -> None:
    history = History()
    for minute in range(50, 60):
        first = at(view, minute, 80.0)
        other = replace(first.slots[0], uuid="GPU-other", utilisation_percent=40.0)
        history.add(replace(first, slots=(*first.slots, other)))
    (use,) = (use for use in history.grid(NOON + timedelta(minutes=59))["alice"] if use is not None)
    assert (use.percent, use.slots) == (60.0, 2.0)


def test_a_slot_that_changes_hands_counts_for_both(view: ServerView) -> None:
    history = History()
    history.add(at(view, 35, 90.0, "alice"))
    history.add(at(view, 55, 10.0, "bob"))
    grid = history.grid(NOON + timedelta(minutes=59))
    assert [use and use.percent for use in grid["alice"]] == [None, None, None, 90.0, None, None]
    assert [use and use.percent for use in grid["bob"]] == [None, None, None, None, None, 10.0]


def test_free_slots_belong_to_nobody(view: ServerView) -> None:
    history = History()
    slot = replace(view.slots[0], state="free", user=None)
    history.add(replace(view, at=NOON, slots=(slot,), gpus=()))
    assert history.grid(NOON) == {}


def test_what_is_older_than_an_hour_is_forgotten(view: ServerView) -> None:
    history = History()
    history.add(at(view, 0, 90.0, "alice"))
    history.add(at(view, 61, 10.0, "bob"))
    assert list(history.grid(NOON + timedelta(minutes=61))) == ["bob"]
    for minute in range(62, 400):
        history.add(at(view, minute, 10.0, "bob"))
    assert all(len(minutes) <= MINUTES for minutes in history._minutes.values())


def test_it_begins_with_what_the_ticks_measured(view: ServerView) -> None:
    slot = view.slots[0]
    history = History()
    begin = NOON - timedelta(minutes=30)
    history.prefill(
        [
            SlotUse(slot.uuid, "alice", begin, begin + timedelta(minutes=10), 100.0),
            SlotUse(slot.uuid, "alice", begin + timedelta(minutes=10), begin + timedelta(minutes=20), None),
        ]
    )
    assert history.curve(f"slot {slot.uuid}", NOON - timedelta(minutes=1), 6) == "   █░ "
    assert history.grid(NOON - timedelta(minutes=1))["alice"] == [
        None,
        None,
        None,
        Use(100.0, 1.0),
        Use(None, 1.0),
        None,
    ]
