"""A bed on which the automation runs: ticks at given times, mailboxes, and what was shown on terminals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ds01.automation.report import Report
from ds01.automation.tick import Tick
from ds01.engines.protocol import Engine
from ds01.journal.notices import Mailboxes, Notice
from ds01.journal.notifier import Teller
from ds01.lifecycle.context.context import Context
from ds01.records.record import Record
from tests.bed import Bed

SECOND = 1_000_000_000  # nanoseconds of CPU time


@dataclass
class Ticking:
    """The automation on a bed. What a container uses is said by `works`, in seconds of CPU time."""

    bed: Bed
    shown: list[tuple[int, str]] = field(default_factory=list)

    @property
    def mailboxes(self) -> Mailboxes:
        return Mailboxes(self.bed.state / "notices")

    def make(self, *, engine: Engine | None = None, context: Context | None = None, dry_run: bool = False) -> Tick:
        """A tick as one process has it."""
        context = context or self.bed.make_context(engine=engine)
        teller = Teller(
            self.mailboxes, self.bed.policy.notify, context.emit, lambda uid, text: self.shown.append((uid, text))
        )
        return Tick(context, lambda: self.bed.make_context(engine=engine), teller, dry_run)

    def tick(self, **by: float) -> Report:
        """Let the time go on, and do a pass that has to be good."""
        report = self.any_tick(**by)
        assert report.good, report
        return report

    def any_tick(self, **by: float) -> Report:
        """Let the time go on, and do a pass."""
        self.bed.clock.advance(**by)
        return self.make().run()

    def runs(self, login: str = "alice", name: str = "thesis", gpus: int | None = None, **more: object) -> Record:
        """A container that was created, started, and looked at once."""
        self.bed.gate.create(self.bed.actor(login), self.bed.request(login, name, gpus, **more))
        self.bed.gate.start(self.bed.actor(login), self.bed.full(login, name))
        self.tick(seconds=1)
        return self.bed.record(login, name)

    def works(
        self, seconds: float | None, *, login: str = "alice", name: str = "thesis", network: int | None = 0
    ) -> None:
        """All the CPU time that a container has used since its start; None cannot be read."""
        nanoseconds = None if seconds is None else int(seconds * SECOND)
        self.bed.engine.set_usage(self.bed.full(login, name), cpu_nanoseconds=nanoseconds, network_bytes=network)

    def post(self, login: str = "alice") -> list[Notice]:
        """What is in somebody's mailbox; it is empty then."""
        return self.mailboxes.take(self.bed.people[login])

    def kinds(self, login: str = "alice") -> list[str]:
        return [notice.kind for notice in self.post(login)]

    def state(self, login: str = "alice", name: str = "thesis") -> str:
        return self.bed.record(login, name).state.value

    def until(self, when: Callable[[], bool], *, every: timedelta, longest: int = 100) -> datetime:
        """Tick until something is so; when that was."""
        for _ in range(longest):
            self.any_tick(seconds=every.total_seconds())
            if when():
                return self.bed.clock()
        raise AssertionError("it never came to that")


def acted(report: Report) -> list[tuple[str, str]]:
    """What a pass did, without reconcile: container's name and action."""
    return [(item.container.partition("._.")[0], item.action) for item in report.acted if item.action != "reconcile"]


def warned(report: Report) -> list[tuple[str, str]]:
    """Whom a pass warned, and of what."""
    return [(item.container.partition("._.")[0], item.why.partition(",")[0]) for item in report.warned]
