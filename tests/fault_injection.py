"""An engine and a ledger that fail, or kill their process, at a given step."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from ds01.engines.protocol import Engine
from ds01.records import ledger as ledger_module
from ds01.records.ledger import Transaction

CHANGING_CALLS = (
    "create",
    "start",
    "stop",
    "remove",
    "rename",
    "pause",
    "unpause",
    "put_archive",
    "run",
    "tag",
    "untag",
    "update",
)
READING_CALLS = ("info", "containers", "inspect", "get_archive", "path_status", "processes", "image")


class StepCounter:
    """Counts steps, and calls `act` before or after step number `at` (from 0)."""

    def __init__(self, at: int, act: Callable[[], None], *, after: bool = False) -> None:
        self.at = at
        self.act = act
        self.after = after
        self.count = 0
        self.names: list[str] = []

    def run_step(self, name: str, step: Callable[[], Any]) -> Any:
        is_chosen = self.count == self.at
        self.count += 1
        self.names.append(name)
        if is_chosen and not self.after:
            self.act()
        result = step()
        if is_chosen and self.after:
            self.act()
        return result


class FaultyEngine:
    """An engine that counts each call in `watched` as a step."""

    def __init__(
        self, engine: Engine, steps: StepCounter, counted: tuple[str, ...] = CHANGING_CALLS + READING_CALLS
    ) -> None:
        self._engine = engine
        self._steps = steps
        self._watched = counted

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._engine, name)
        if name not in self._watched:
            return method
        return lambda *args, **kwargs: self._steps.run_step(name, lambda: method(*args, **kwargs))


def make_raiser(error: BaseException) -> Callable[[], None]:
    """Return an act that raises."""

    def act() -> None:
        raise error

    return act


def kill_self() -> None:
    """Kill this process with SIGKILL: nothing is cleaned up."""
    os.kill(os.getpid(), signal.SIGKILL)


def count_commits_as_steps(steps: StepCounter, replace: Callable[[Any, str, Any], None]) -> None:
    """Count each commit, and each file that it writes or moves, as a step. `replace`: like monkeypatch.setattr."""
    commit, archive, write = Transaction.commit, Transaction.archive_removed, Transaction._write

    def watched_commit(self: Transaction, *args: Any, **kwargs: Any) -> Any:
        return steps.run_step("commit", lambda: commit(self, *args, **kwargs))

    def watched_archive(self: Transaction, *args: Any, **kwargs: Any) -> Any:
        return steps.run_step("file", lambda: archive(self, *args, **kwargs))

    def watched_write(self: Transaction, *args: Any, **kwargs: Any) -> Any:
        return steps.run_step("write", lambda: write(self, *args, **kwargs))

    replace(ledger_module.Transaction, "_write", watched_write)
    replace(ledger_module.Transaction, "commit", watched_commit)
    replace(ledger_module.Transaction, "archive_removed", watched_archive)


def was_killed(child: int) -> bool:
    """Return whether a forked child was killed by SIGKILL; fail if it ended otherwise without success."""
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0
    return False
