"""The parent of a stress run: forks users, kills and suspends them, disturbs time and disk, and checks."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import random
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ds01.automation.report import tick_document
from ds01.errors import Ds01Error
from tests import invariants
from tests.client import Client
from tests.stress import operations
from tests.stress.arena import GROUP, MEMBERS, PEOPLE, USERS, Arena
from tests.stress.invariants import Broken, Checker, Snapshot, check_warned, steps_of_tick

PR_SET_PDEATHSIG = 1  # linux/prctl.h
HOUR = 3600
DAY = 24 * HOUR
OUTSIDE = "outside"
LONGEST_STOP = 0.3  # seconds for which a process is suspended
LONGEST_TICK = 20.0
WAIT_FOR_LOCK = 20.0
# What a tick meets: weight, clock offset in seconds, whether the user database is silent.
WEATHER = {
    "normal": (8, 0, False),
    "silent": (2, 0, True),
    "clock back": (1, -2 * DAY, False),
    "clock ahead": (1, 400 * DAY, False),
    "clock a little ahead": (1, HOUR, False),
}


@dataclass
class Director:
    """Runs the stress in `arena`. `disk`: the small file system, to be filled; None: there is none."""

    arena: Arena
    seed: str
    disk: Path | None
    counts: Counter[str] = field(default_factory=Counter)
    _children: dict[int, str] = field(default_factory=dict)  # pid -> login
    _suspended: dict[int, float] = field(default_factory=dict)  # pid -> when it goes on
    _forks: int = 0

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)
        self._checker = Checker(self.arena.harness.state)
        self._reports = self.arena.root / "reports"
        self._reports.mkdir(mode=0o777)
        self._reports.chmod(0o777)
        self._filler = self.disk / "filler" if self.disk is not None else None
        self._disk_free_at = 0.0

    def warm(self) -> None:
        """Load what a command loads, so that the children need not."""
        gate = Client(self.arena.context())
        boss = self.arena.context().users.actor(PEOPLE["boss"])
        made = gate.create(boss, self.arena.harness.request("boss", "warm", 0)).container.container
        gate.start(boss, made)
        self.arena.tick().run()
        gate.remove(boss, made, force=True)

    def run(self, seconds: float) -> None:
        """Let it all happen for so long. Raises Broken."""
        end = time.monotonic() + seconds
        next_tick = next_check = next_trouble = 0.0
        while (now := time.monotonic()) < end:
            self._populate()
            self._go_on(now)
            if now >= next_check:
                self._checker.snapshot()
                next_check = now + 0.05
            if now >= next_trouble:
                self._trouble(now)
                next_trouble = now + self._rng.uniform(0, 0.03)
            if now >= next_tick:
                self._tick()
                next_tick = time.monotonic() + 0.4
            time.sleep(0.002)

    def settle(self) -> None:
        """End everybody, let all be well again, and check that nothing is left open. Raises Broken."""
        self.end()
        self.arena.engine().set_answering(True)
        self.arena.switches.set()
        root = self.arena.context().users.actor(0)
        for _ in range(2):
            Client(self.arena.context()).reconcile(root)
        if changes := Client(self.arena.context()).reconcile(root):
            raise Broken(f"reconcile never comes to rest: {changes}")
        self.arena.harness.engine = self.arena.engine()
        self.arena.harness.context = self.arena.context()
        try:
            invariants.check_settled(self.arena.harness)
        except AssertionError as error:
            raise Broken(f"not settled: {error}") from error
        for login in USERS:
            for name in (*operations.NAMES, "hand"):
                self._clear(login, name)

    def end(self) -> None:
        """End all children and empty the disk."""
        for pid in list(self._children):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        self._children.clear()
        self._suspended.clear()
        self._empty_disk()

    def faults(self) -> list[str]:
        """What went wrong in the children: tracebacks."""
        return [path.read_text() for path in sorted(self._reports.glob("fault-*"))]

    def summary(self) -> str:
        """The figures of the run."""
        done: Counter[str] = Counter()
        for path in self._reports.glob("*-*"):
            if not path.name.startswith("fault"):
                done["operations" if path.name.startswith("count") else "outside"] += path.stat().st_size
        figures = {**done, **dict(sorted(self.counts.items())), "checks": self._checker.checks}
        return "\n".join(f"{name:24}{number:>9}" for name, number in figures.items())

    # children

    def _fork(self, act: Callable[[], None]) -> int:
        """Run `act` in a child; what it raises becomes a fault."""
        self._forks += 1
        number = self._forks
        child = os.fork()
        if child:
            return child
        _die_with_parent()
        try:
            act()
        except BaseException:
            (self._reports / f"fault-{number}").write_text(traceback.format_exc())
        finally:
            os._exit(0)

    def _populate(self) -> None:
        there = set(self._children.values())
        for login in USERS.keys() - there:
            self._children[self._fork(lambda login=login: self._live(login))] = login
        if OUTSIDE not in there:
            self._children[self._fork(self._interfere)] = OUTSIDE

    def _live(self, login: str) -> None:
        """Be a user until killed."""
        os.setgroups([GROUP])
        os.setgid(PEOPLE[login])
        os.setuid(PEOPLE[login])
        os.umask(0o077)
        rng = random.Random(f"{self.seed} {self._forks}")
        count = os.open(self._reports / f"count-{self._forks}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        while True:
            with contextlib.suppress(Ds01Error, OSError):  # refused, or the disk is full: main.py words either
                operations.command(self.arena, Client(self.arena.context()), login, rng)
            os.write(count, b".")

    def _interfere(self) -> None:
        """Use `docker` at random until killed; a process, since others may hold the engine's lock."""
        rng = random.Random(f"{self.seed} {self._forks}")
        count = os.open(self._reports / f"outside-{self._forks}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        while True:
            operations.interfere(self.arena, rng)
            os.write(count, b".")
            time.sleep(rng.uniform(0, 0.1))

    def _trouble(self, now: float) -> None:
        what = self._rng.choices(["kill", "suspend", "disk"], [10, 5, 0.3])[0]
        pid = self._rng.choice(list(self._children))
        if what == "kill":
            self._kill(pid)
            del self._children[pid]
        elif what == "suspend" and pid not in self._suspended:
            os.kill(pid, signal.SIGSTOP)
            self._suspended[pid] = now + self._rng.uniform(0, LONGEST_STOP)
            self.counts["suspended"] += 1
        elif what == "disk" and self._filler is not None and not self._filler.exists():
            self._fill_disk()
            self._disk_free_at = now + self._rng.uniform(0, 0.5)

    def _kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        self._suspended.pop(pid, None)
        self.counts["killed"] += 1

    def _go_on(self, now: float) -> None:
        """Let go on what was suspended for long enough; and the disk."""
        for pid, until in list(self._suspended.items()):
            if now >= until:
                os.kill(pid, signal.SIGCONT)
                del self._suspended[pid]
        if self._filler is not None and self._filler.exists() and now >= self._disk_free_at:
            self._empty_disk()

    def _fill_disk(self) -> None:
        assert self._filler is not None
        with open(self._filler, "wb", buffering=0) as file:
            try:
                while file.write(bytes(1 << 16)):
                    pass
            except OSError:
                self.counts["disk filled"] += 1

    def _empty_disk(self) -> None:
        if self._filler is not None:
            self._filler.unlink(missing_ok=True)

    # ticks

    def _tick(self) -> None:
        """One pass in some weather, sometimes killed, and what must hold of it. Raises Broken."""
        weather = self._rng.choices(list(WEATHER), [weight for weight, _, _ in WEATHER.values()])[0]
        _, offset, silent = WEATHER[weather]
        before = self._snapshot()
        killed_after = self._rng.uniform(0, 0.1) if self._rng.random() < 0.2 else None
        self.arena.switches.set(clock_offset=offset, silent=silent)
        pid = self._fork(self._pass)
        began = time.monotonic()
        while os.waitpid(pid, os.WNOHANG)[0] == 0:
            now = time.monotonic()
            if killed_after is not None and now - began > killed_after:
                self._kill(pid)
                break
            if now - began > LONGEST_TICK:
                self._kill(pid)
                raise Broken(f"a tick took more than {LONGEST_TICK} s")
            self._go_on(now)
            time.sleep(0.002)
        after, removed = self._snapshot(), self._removed()
        self.arena.switches.set()
        self.counts[f"tick, {weather}"] += 1
        if weather == "normal":
            self.counts["ended by a tick"] += check_warned(before, after, removed)
            return
        for old, step in steps_of_tick(before, after, removed):
            if weather != "silent" or old["user"] in MEMBERS:
                raise Broken(f"{weather}: a tick did {step} to {old['container_name']}")

    def _pass(self) -> None:
        tick = self.arena.tick()
        with contextlib.suppress(Ds01Error, OSError), tick.context.ledger.tick_lock():
            report = tick.run()
            tick.context.ledger.write_tick_report(tick_document(report, tick.context.ledger.read_tick_report()))

    def _snapshot(self) -> Snapshot:
        """A snapshot, however long others hold the lock. Raises Broken."""
        began = time.monotonic()
        while (records := self._checker.snapshot()) is None:
            now = time.monotonic()
            if now - began > WAIT_FOR_LOCK:
                raise Broken("nobody lets go of the ledger's lock")
            self._go_on(now)
            time.sleep(0.001)
        return records

    def _removed(self) -> Snapshot:
        found = {}
        for path in (self.arena.harness.state / "container-metadata" / "removed").glob("*.json"):
            try:
                found[path.stem] = json.loads(path.read_bytes())
            except (OSError, ValueError):
                continue
        return found

    def _clear(self, login: str, name: str) -> None:
        """Remove a container, or a lease by hand, as an administrator. Raises Broken if that fails."""
        gate = Client(self.arena.context())
        full = self.arena.harness.full(login, name)
        records = {record.container_name: record for record in self.arena.harness.records()}
        if full not in records:
            return
        boss = self.arena.context().users.actor(0)
        try:
            if records[full].origin.value == "manual":
                gate.release(boss, full)
            else:
                gate.remove(boss, full, force=True, grace=0)
        except Ds01Error as error:
            raise Broken(f"{full} cannot be removed in the end: {error.message}: {error.why}") from error


def _die_with_parent() -> None:
    """Let the kernel kill this process when its parent ends, however that ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
