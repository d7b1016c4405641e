"""The dashboard at a pseudo-terminal: when it first paints, and what it uses while nobody touches it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import statistics
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.bed import DS01, context_of, environment, simulated
from tests.bench.programs import timed
from tests.bench.tick import GPUS, Crowd

FRAME, DATA = b"h help", b"1g.5gb"  # in the first paint, and in the first that has data
SIZES = ((80, 24), (200, 50))
CONTAINERS = 200
SETTLING = 40.0  # seconds: without a key for 30 s, it gathers less often if that costs much
TICKS = os.sysconf("SC_CLK_TCK")  # a second, in /proc


def dashboard(programs: list[str], runs: int, rest: float) -> None:
    """Time to the first paint against `ds01 --version`, and processor time at rest with 56 leased slots."""
    with simulated(GPUS) as gate:
        context = context_of(gate)
        Crowd(gate, "bench/image", 10**6).grow(CONTAINERS)
        state = context.ledger.state
        (state / "simulated-engine.json").symlink_to(state / "engine.json")  # as the program calls it
        own = environment(state, GPUS) | {"DS01_ENGINE": "simulated", "TERM": "xterm-256color", "LANG": "C.UTF-8"}
        for program in programs:
            painted = [_first_paint(program, own) for _ in range(runs + 1)][1:]
            version = statistics.median(timed([program, "--version"]) for _ in range(runs))
            frame, data = (statistics.median(times) for times in zip(*painted, strict=True))
            which = f"  {program}" if program != programs[0] else ""
            print(
                f"dashboard            {frame:6.1f} ms to its first paint, {frame / version:4.1f} times --version "
                f"({version:.1f} ms), {data:.1f} ms to the first data{which}"
            )
        for columns, rows in SIZES:
            share = _share_at_rest(own, columns, rows, rest)
            print(
                f"dashboard at rest    {share:6.2f} % of a core, 56 slots and {CONTAINERS} containers, {columns}x{rows}"
            )


@dataclass
class _Running:
    """A dashboard at a terminal."""

    terminal: int
    pid: int

    def read_until(self, text: bytes) -> None:
        seen = b""
        while text not in seen:
            seen += os.read(self.terminal, 65536)

    def drain(self, seconds: float) -> None:
        """Read what it writes, as a terminal does."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if select.select([self.terminal], [], [], left)[0]:
                os.read(self.terminal, 65536)

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


@contextmanager
def _started(program: str, environment: dict[str, str], columns: int, rows: int) -> Iterator[_Running]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    with subprocess.Popen(
        [program, "dashboard"], stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL, env=environment
    ) as process:
        os.close(theirs)
        try:
            yield _Running(ours, process.pid)
        finally:
            os.write(ours, b"q")
            process.wait()
            os.close(ours)


def _first_paint(program: str, environment: dict[str, str]) -> tuple[float, float]:
    """Return the ms until the frame is painted, and until data is."""
    begun = time.perf_counter()
    with _started(program, environment, 80, 24) as running:
        running.read_until(FRAME)
        frame = (time.perf_counter() - begun) * 1000
        running.read_until(DATA)
        return frame, (time.perf_counter() - begun) * 1000


def _share_at_rest(environment: dict[str, str], columns: int, rows: int, seconds: float) -> float:
    """Return the percentage of a core that it uses, user and system time."""
    with _started(str(DS01), environment, columns, rows) as running:
        running.read_until(DATA)
        running.drain(SETTLING)
        before = running.cpu_seconds()
        running.drain(seconds)
        return (running.cpu_seconds() - before) / seconds * 100
