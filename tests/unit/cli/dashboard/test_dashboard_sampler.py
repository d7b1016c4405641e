"""The sampler: what stays on the screen when gathering fails, and how often it gathers."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from ds01.api.seeing.events import EventView
from ds01.api.seeing.server_view import ServerView
from ds01.cli.dashboard.sample import Sample
from ds01.cli.dashboard.sampler import LONGEST_PAUSE, Answer, Sampler, pause_after
from ds01.errors import EngineUnreachable


class Gatherer:
    """Answers with what the test says, and lets the test wait for it."""

    def __init__(self, *answers: ServerView | Exception) -> None:
        self.answers = list(answers)
        self.events = 0
        self.gathered = threading.Semaphore(0)

    def gather(self) -> ServerView:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def list_events(self) -> tuple[EventView, ...]:
        self.events += 1
        return ()


def collect(gatherer: Gatherer, *, set_up: Callable[[Sampler], None] = lambda sampler: None) -> list[Answer]:
    """Return the answers of a sampler that is hurried through all that the gatherer has."""
    count = len(gatherer.answers)
    sampler = Sampler(gatherer.gather, gatherer.list_events, gatherer.gathered.release, interval=3600)
    set_up(sampler)
    sampler.start()
    found = []
    for number in range(count):
        assert gatherer.gathered.acquire(timeout=20)
        found.append(sampler.answer)
        if number < count - 1:
            sampler.hurry()
    sampler.end(20)
    return found


@pytest.fixture
def view(sample: Sample) -> ServerView:
    assert sample.view is not None
    return sample.view


def test_the_last_good_view_stays_with_its_time(view: ServerView) -> None:
    good, bad = collect(Gatherer(view, EngineUnreachable("Docker does not answer", why="it is down")))
    assert (good.view, good.problem) == (view, None)
    assert (bad.view, bad.at, bad.problem) == (view, good.at, "Docker does not answer: it is down")


def test_after_a_failure_it_goes_on(view: ServerView) -> None:
    bad, good = collect(Gatherer(ValueError("bug"), view))
    assert bad.problem == "internal error in ds01: ValueError: bug"
    assert (good.view, good.problem) == (view, None)


def test_events_are_read_only_for_their_view(view: ServerView) -> None:
    gatherer = Gatherer(view)
    assert collect(gatherer)[0].events is None and gatherer.events == 0
    gatherer = Gatherer(view)
    assert collect(gatherer, set_up=lambda sampler: setattr(sampler, "wants_events", True))[0].events == ()


@pytest.mark.parametrize(
    ("cost", "interval", "resting", "pause"),
    [
        (0.02, 2.0, False, 2.0),
        (0.3, 2.0, False, 3.0),
        (0.3, 2.0, True, 25.0),
        (9.0, 2.0, True, LONGEST_PAUSE),
        (9.0, 600.0, True, 600.0),
    ],
)
def test_it_gathers_less_often_if_that_takes_long(cost: float, interval: float, resting: bool, pause: float) -> None:
    assert pause_after(cost, interval, resting=resting) == pytest.approx(pause)
