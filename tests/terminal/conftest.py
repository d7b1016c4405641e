"""Fixtures for programs on the simulated engine, at a pseudo-terminal or without one."""

from __future__ import annotations

import codecs
import errno
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from ds01.engines.simulated.engine import SimulatedEngine
from ds01.system.clock import now
from tests.advice_checks import check_output
from tests.harness import GPUS, Harness

TOP = Path(__file__).resolve().parents[2]
STEP_TIMEOUT = 20.0  # seconds that a program may take for one step; a busy machine is slow


class Typist:
    """A user at a terminal of `rows` and `columns` who has typed `command`."""

    def __init__(self, command: list[str], environment: dict[str, str], *, rows: int = 24, columns: int = 80) -> None:
        self._ours, theirs = pty.openpty()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")  # what is read may end within a character
        self.seen = ""
        self.resize(rows, columns, tell=False)
        self._process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, cwd=TOP, start_new_session=True,
            preexec_fn=_at_a_terminal,
        )  # fmt: skip
        os.close(theirs)

    def resize(self, rows: int, columns: int, *, tell: bool = True) -> None:
        """Another window size; the kernel tells the program."""
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def expect(self, *texts: str) -> str:
        """What comes until one of `texts`, the first that is there, which is taken off what was seen."""
        until = time.monotonic() + STEP_TIMEOUT
        while not any(text in self.seen for text in texts):
            assert time.monotonic() < until and self._read(until), f"{texts!r} did not come; this did: {self.seen!r}"
        first = min((text for text in texts if text in self.seen), key=self.seen.index)
        before, _, self.seen = self.seen.partition(first)
        return before + first

    def send_signal(self, number: int) -> None:
        """A signal from elsewhere, as when the machine shuts down."""
        self._process.send_signal(number)

    def end(self) -> int:
        """The exit code, when all was read."""
        until = time.monotonic() + STEP_TIMEOUT
        while self._read(until):
            assert time.monotonic() < until, f"it does not end; this came: {self.seen!r}"
        return self._process.wait(STEP_TIMEOUT)

    def is_raw(self) -> bool:
        """Whether the terminal hands on every key."""
        return not termios.tcgetattr(self._ours)[3] & termios.ICANON

    def interrupt(self) -> None:
        """Type Ctrl-C, which ends the program. Again if it goes on waiting: Python sees one that comes just before it
        waits for a line only when that line has come. Never while it works, maybe on its end.
        """
        until = time.monotonic() + STEP_TIMEOUT
        self.type("\x03")
        while time.monotonic() < until:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(2)
                return
            if self._waits():
                self.type("\x03")

    def hang_up(self) -> None:
        """The terminal goes, as when its window is closed."""
        os.close(self._ours)
        self._ours = -1

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._ours >= 0:
            os.close(self._ours)

    def _waits(self) -> bool:
        """Whether the program sleeps until something comes, as opposed to: for a processor."""
        status = Path(f"/proc/{self._process.pid}/stat").read_text()
        return status.rpartition(")")[2].split()[0] == "S"

    def _read(self, until: float) -> bool:
        ready, _, _ = select.select([self._ours], [], [], max(0.0, until - time.monotonic()))
        try:
            data = os.read(self._ours, 65536) if ready else b""
        except OSError as error:
            assert error.errno == errno.EIO  # the last one at the terminal has gone
            return False
        self.seen = (self.seen + self._decoder.decode(data)).replace("\r\n", "\n")
        return bool(data)


def _at_a_terminal() -> None:
    """In the child: its terminal, and Ctrl-C as a terminal has it, also where the tests run in the background."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Programs:
    """Starts ds01. Who runs the tests is the user, and owns the state folder."""

    def __init__(self, harness: Harness) -> None:
        self.harness = harness
        self.engine = SimulatedEngine(harness.state / "simulated-engine.json", clock=now)
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(harness.root),
            "LANG": "C.UTF-8",
            "TERM": "xterm",
            "DS01_STATE": str(harness.state),
            "DS01_CONFIG": str(harness.root / "resource-limits.yaml"),
            "DS01_ENGINE": "simulated",
            "DS01_GPUS": f"simulated:{GPUS}",
        }
        self._typists: list[Typist] = []

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "ds01.main", *words]

    def at_terminal(self, *words: str, columns: int = 80, **environment: str) -> Typist:
        typist = Typist(self.command(*words), self.environment | environment, columns=columns)
        self._typists.append(typist)
        return typist

    def piped(self, *words: str, stdin: int = subprocess.DEVNULL) -> subprocess.CompletedProcess[str]:
        """Without a terminal."""
        answer = subprocess.run(
            self.command(*words), stdin=stdin, capture_output=True, text=True, env=self.environment, cwd=TOP,
            timeout=STEP_TIMEOUT, start_new_session=True, check=False,
        )  # fmt: skip
        check_output(words, answer.stdout, answer.stderr, root=True)
        return answer

    def close(self) -> None:
        for typist in self._typists:
            typist.close()


@pytest.fixture
def programs(fast_tmp: Path) -> Iterator[Programs]:
    """A state directory in which the user who runs the tests is `alice`."""
    made = Programs(Harness(fast_tmp / "bed", people={"alice": os.getuid()}))
    yield made
    made.close()
