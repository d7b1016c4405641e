"""The main loop: waits for keys, new views, resizes and signals, and paints."""

from __future__ import annotations

import gc
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

from ds01.api.seeing.events import ListEvents
from ds01.api.seeing.operations import GetRecentUse, GetServerView
from ds01.cli.dashboard.history import History
from ds01.cli.dashboard.keys import handle_key
from ds01.cli.dashboard.render import FRESH, render
from ds01.cli.dashboard.sample import Sample
from ds01.cli.dashboard.sampler import Sampler
from ds01.cli.dashboard.state import State, View
from ds01.cli.dashboard.terminal import Terminal
from ds01.cli.session import Session
from ds01.cli.ui.output import open_null, supports_colours
from ds01.cli.ui.terminal import watch_signals

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
WATCHED = (signal.SIGWINCH, signal.SIGTSTP, signal.SIGCONT, *ENDING)
HANG_UP = select.POLLHUP | select.POLLERR | select.POLLNVAL
MOST_EVENTS = 200
END_TIMEOUT = 0.5  # seconds that the end waits for the sampler


def show_dashboard(session: Session, state: State, interval: float) -> int:
    """Show the dashboard until it is quit; return the exit code: 0, or 128 and the number of the signal that ended it.

    Raises UsageError if the terminal is of an unknown type.
    """
    session.announce_simulation()
    terminal = Terminal(coloured=supports_colours(sys.stdout))
    gc.freeze()  # what is loaded stays; collecting it again and again would cost more than the rest
    gc.enable()  # this may take days
    woken, waking = os.pipe()  # never closed, since a sampler that is left behind may still write
    os.set_blocking(waking, False)
    with watch_signals(*WATCHED) as signals, _silent_stderr():
        sampler = Sampler(
            lambda: session.run(GetServerView()),
            lambda: session.run(ListEvents(limit=MOST_EVENTS)),
            lambda: _write_byte(waking),
            interval=interval,
            list_recent=lambda: session.run(GetRecentUse()),
        )
        try:
            terminal.enter()
            return _Loop(terminal, sampler, session.now, state).run(signals, woken)
        finally:
            terminal.close()
            sampler.end(END_TIMEOUT)


class _Loop:
    def __init__(self, terminal: Terminal, sampler: Sampler, now: Callable[[], datetime], state: State) -> None:
        self._terminal = terminal
        self._sampler = sampler
        self._now = now
        self._state = state
        self._history = History()
        self._sample = Sample(now())

    def run(self, signals: int, woken: int) -> int:
        poll = select.poll()
        for descriptor in (0, signals, woken):
            poll.register(descriptor, select.POLLIN)
        self._draw()
        self._want_events()
        self._sampler.start()
        while not self._state.ended:
            ready = dict(poll.poll(self._timeout() * 1000))
            if ready.get(0, 0) & HANG_UP:
                return 128 + signal.SIGHUP
            if signals in ready:
                for number in os.read(signals, 64):
                    if number in ENDING:
                        return 128 + number
                    self._handle_signal(number)
            if woken in ready:
                os.read(woken, 64)
            if 0 in ready:
                self._handle_keys()
            self._draw()
        return 0

    def _timeout(self) -> float:
        """Return the seconds until the screen changes even if nothing happens: the clock, or the age of the data."""
        if self._sample.age >= FRESH:
            return 1.0
        minute = 60.0 - self._now().timestamp() % 60
        return min(minute, FRESH - self._sample.age) if self._sample.view is not None else minute

    def _handle_signal(self, number: int) -> None:
        if number == signal.SIGTSTP:  # Ctrl-Z
            self._terminal.leave()
            os.kill(os.getpid(), signal.SIGSTOP)
            self._terminal.enter()
        if number == signal.SIGCONT:
            self._terminal.repaint()
            self._sampler.hurry()

    def _handle_keys(self) -> None:
        for key in self._terminal.read_keys():
            self._sampler.note_key()
            if key == "redraw":
                self._terminal.repaint()
            elif key == "r" and not self._state.editing:
                self._sampler.hurry()
            else:
                self._state = handle_key(self._state, key, self._sample)
                self._want_events()
                self._state, _ = render(self._state, self._sample, *self._terminal.size())

    def _want_events(self) -> None:
        wanted = self._state.view is View.EVENTS
        if wanted and not self._sampler.wants_events:
            self._sampler.hurry()
        self._sampler.wants_events = wanted

    def _draw(self) -> None:
        answer = self._sampler.answer
        if answer.view is not None and self._sample.view is None:
            self._history.prefill(answer.recent)
        if answer.view is not None and answer.view is not self._sample.view:
            self._history.add(answer.view)
        age = time.monotonic() - answer.at if answer.view is not None else 0.0
        self._sample = Sample(self._now(), answer.view, age, answer.problem, answer.events, self._history)
        self._state, screen = render(self._state, self._sample, *self._terminal.size())
        self._terminal.paint(screen)


def _write_byte(descriptor: int) -> None:
    with suppress(BlockingIOError):  # there are enough bytes already
        os.write(descriptor, b".")


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Discard what libraries write to stderr meanwhile: it would stand in the middle of the screen."""
    sys.stderr.flush()
    kept, null = os.dup(2), open_null()
    os.dup2(null, 2)
    os.close(null)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
