"""A harness for the automation: ticks at given times, mailboxes, and messages on terminals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ds01.automation.report import TickReport
from ds01.automation.tick import Tick
from ds01.engines.protocol import Engine
from ds01.journal.notices import Mailboxes, Notice
from ds01.journal.notifier import Notifier
from ds01.lifecycle.context.context import Context
from ds01.records.record import Record
from tests.harness import Harness

SECOND = 1_000_000_000  # nanoseconds of CPU time


@dataclass
class TickHarness:
    """The automation on a harness. `works` sets what a container uses, in seconds of CPU time."""

    harness: Harness
    shown: list[tuple[int, str]] = field(default_factory=list)

    @property
    def mailboxes(self) -> Mailboxes:
        return Mailboxes(self.harness.state / "notices")

    def make_tick(self, *, engine: Engine | None = None, context: Context | None = None, dry_run: bool = False) -> Tick:
        """Return a tick as a new process would run it."""
        context = context or self.harness.make_context(engine=engine)
        notifier = Notifier(
            self.mailboxes, self.harness.policy.notify, context.emit, lambda uid, text: self.shown.append((uid, text))
        )
        return Tick(context, lambda: self.harness.make_context(engine=engine), notifier, dry_run)

    def tick(self, **by: float) -> TickReport:
        """Advance the time, and run a pass that must be complete."""
        report = self.run_tick(**by)
        assert report.succeeded, report
        return report

    def run_tick(self, **by: float) -> TickReport:
        """Advance the time, and run a pass."""
        self.harness.clock.advance(**by)
        return self.make_tick().run()

    def start_container(
        self, login: str = "alice", name: str = "thesis", gpus: int | None = None, **more: object
    ) -> Record:
        """Create and start a container, and sample it once."""
        self.harness.gate.create(self.harness.actor(login), self.harness.request(login, name, gpus, **more))
        self.harness.gate.start(self.harness.actor(login), self.harness.full(login, name))
        self.tick(seconds=1)
        return self.harness.record(login, name)

    def set_cpu_time(
        self, seconds: float | None, *, login: str = "alice", name: str = "thesis", network: int | None = 0
    ) -> None:
        """Set the CPU time that a container has used since its start; None: unreadable."""
        nanoseconds = None if seconds is None else int(seconds * SECOND)
        self.harness.engine.set_usage(
            self.harness.full(login, name), cpu_nanoseconds=nanoseconds, network_bytes=network
        )

    def take_notices(self, login: str = "alice") -> list[Notice]:
        """Empty a user's mailbox; return its notices."""
        return self.mailboxes.take(self.harness.people[login])

    def take_notice_kinds(self, login: str = "alice") -> list[str]:
        return [notice.kind for notice in self.take_notices(login)]

    def state(self, login: str = "alice", name: str = "thesis") -> str:
        return self.harness.record(login, name).state.value

    def tick_until(self, condition: Callable[[], bool], *, every: timedelta, longest: int = 100) -> datetime:
        """Tick until a condition holds; return the time."""
        for _ in range(longest):
            self.run_tick(seconds=every.total_seconds())
            if condition():
                return self.harness.clock()
        raise AssertionError("it never came to that")


def actions_of(report: TickReport) -> list[tuple[str, str]]:
    """Return the actions of a pass, without reconcile: container name and action."""
    return [(item.container.partition("._.")[0], item.action) for item in report.acted if item.action != "reconcile"]


def warnings_of(report: TickReport) -> list[tuple[str, str]]:
    """Return whom a pass warned, and of what."""
    return [(item.container.partition("._.")[0], item.why.partition(",")[0]) for item in report.warned]
