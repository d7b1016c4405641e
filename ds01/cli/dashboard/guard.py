"""A process that restores the terminal if the dashboard is killed, which leaves it no time to do that itself."""

from __future__ import annotations

import os
import signal
import termios
from contextlib import suppress
from typing import Any

ENTERED, LEFT = b"e", b"l"
_IGNORED = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGTSTP,
    signal.SIGTTOU,
    signal.SIGPIPE,
)


class Guard:
    """Watches this process through a pipe, which the kernel closes whatever ends the process.

    It has a session of its own, so a signal to the dashboard's process group does not reach it, and the kernel lets it
    set a terminal that belongs to another session. Fork it before any thread starts.
    """

    def __init__(self, terminal: int, restore: bytes) -> None:
        """Fork. `restore`: what is written to the terminal, such as the way back from the alternate screen."""
        before = termios.tcgetattr(terminal)
        reading, self._pipe = os.pipe()
        self._process = os.fork()
        if self._process == 0:
            try:
                os.close(self._pipe)
                _watch(reading, terminal, before, restore)
            finally:
                os._exit(0)
        os.close(reading)

    def entered(self) -> None:
        """Say that the terminal is in the dashboard's mode now."""
        self._write(ENTERED)

    def left(self) -> None:
        """Say that the terminal is as it was before."""
        self._write(LEFT)

    def end(self) -> None:
        """End the guard; the terminal has to be as it was before."""
        self.left()
        os.close(self._pipe)
        with suppress(ChildProcessError):
            os.waitpid(self._process, 0)

    def _write(self, state: bytes) -> None:
        with suppress(BrokenPipeError):  # somebody has killed the guard
            os.write(self._pipe, state)


def _watch(pipe: int, terminal: int, before: list[Any], restore: bytes) -> None:
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    os.setsid()
    during = None
    while message := os.read(pipe, 64):
        during = termios.tcgetattr(terminal) if message[-1:] == ENTERED else None
    if during is None:
        return
    os.write(terminal, restore)
    # A shell that was quicker has set its own mode, which has to stay.
    if termios.tcgetattr(terminal) == during:
        termios.tcsetattr(terminal, termios.TCSANOW, before)
