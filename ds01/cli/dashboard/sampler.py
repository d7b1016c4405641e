"""The thread that gathers the server's view, so that the screen never waits for Docker or NVML."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ds01.api.seeing.events import EventView
from ds01.api.seeing.operations import SlotUse
from ds01.api.seeing.server_view import ServerView
from ds01.dataclass import dataclass
from ds01.errors import Ds01Error

BUSY_SHARE = 0.1  # of a core, at most, while somebody types
REST_SHARE = 0.012  # of a core, at most, while nobody does
REST_AFTER = 30.0  # seconds without a key
LONGEST_PAUSE = 60.0  # seconds


@dataclass(frozen=True)
class Answer:
    """What was gathered last. `at`: when the view was, by the monotonic clock. `problem`: why there is no newer one.

    `recent`: what the ticks measured before the first view.
    """

    view: ServerView | None = None
    at: float = 0.0
    problem: str | None = None
    events: tuple[EventView, ...] | None = None
    recent: tuple[SlotUse, ...] = ()


class Sampler:
    """Calls `gather` every `interval` seconds, and less often if that takes long. `wake` is called after each time.

    `list_events` is called too while `wants_events` is set, `list_recent` before the first view only.
    """

    def __init__(
        self,
        gather: Callable[[], ServerView],
        list_events: Callable[[], tuple[EventView, ...]],
        wake: Callable[[], None],
        *,
        interval: float,
        list_recent: Callable[[], tuple[SlotUse, ...]] = lambda: (),
    ) -> None:
        self._gather = gather
        self._list_events = list_events
        self._list_recent = list_recent
        self._wake = wake
        self._interval = interval
        self._due = threading.Event()
        self._ended = False
        self._typed_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self.answer = Answer()
        self.wants_events = False

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def note_key(self) -> None:
        """Note that somebody is typing, and gather again if nobody was."""
        if self._rests():
            self.hurry()
        self._typed_at = time.monotonic()

    def hurry(self) -> None:
        """Gather again now."""
        self._due.set()

    def end(self, timeout: float) -> None:
        """End the thread; one that waits for Docker is left behind after `timeout` seconds."""
        self._ended = True
        self._due.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self._ended:
            started, cpu = time.monotonic(), time.thread_time()
            self.answer = self._next_answer()
            self._wake()
            cost = max(time.thread_time() - cpu, (time.monotonic() - started) / 10)
            self._due.wait(pause_after(cost, self._interval, resting=self._rests()))
            self._due.clear()

    def _rests(self) -> bool:
        return time.monotonic() - self._typed_at > REST_AFTER

    def _next_answer(self) -> Answer:
        view, at, events, recent = self.answer.view, self.answer.at, self.answer.events, self.answer.recent
        try:
            recent = self._list_recent() if view is None else recent
            view = self._gather()
            at = time.monotonic()
            events = self._list_events() if self.wants_events else events
            return Answer(view, at, None, events, recent)
        except Ds01Error as error:
            problem = ": ".join(part for part in (error.message, error.why) if part)
        except Exception as error:  # the screen stays, with the last good view
            problem = f"internal error in ds01: {type(error).__name__}: {error}"
        return Answer(view, at, problem, events, recent)


def pause_after(cost: float, interval: float, *, resting: bool) -> float:
    """Return the seconds until the next sample, after one that took `cost` seconds of a processor."""
    return min(max(interval, cost / (REST_SHARE if resting else BUSY_SHARE)), max(interval, LONGEST_PAUSE))
