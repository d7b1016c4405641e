"""A pass of the automation over growing numbers of containers, of which some run and nothing is due."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable
from dataclasses import dataclass

from ds01.automation.report import TickReport
from ds01.automation.tick import Tick
from ds01.engines.docker.engine import DockerEngine
from ds01.engines.protocol import Engine
from ds01.journal.notices import Mailboxes
from ds01.journal.notifier import Notifier
from ds01.lifecycle.context.context import Context
from ds01.policy.model import NotificationSettings
from tests.bench.bed import (
    DS01,
    RUN,
    UID,
    afresh,
    context_of,
    environment,
    on_docker,
    request,
    simulated,
    simulated_engine,
)
from tests.bench.programs import say_growth, timed
from tests.client import Client

GPUS = "8xA100:7x1g.5gb"
SLOTS = 56


@dataclass
class Crowd:
    """The containers of a bed: three of ten run, but no more than `most`, and have a GPU as long as there are some."""

    gate: Client
    image: str
    most: int
    made: int = 0
    running: int = 0

    def grow(self, size: int) -> None:
        """Make it so many."""
        context = context_of(self.gate)
        actor = context.users.actor(UID)
        while self.made < size:
            runs = self.made % 10 < 3 and self.running < self.most
            gpus = int(runs and self.running < SLOTS)
            made = self.gate.create(actor, request(context, f"{RUN}-{self.made}", gpus, self.image)).container
            if runs:
                self.gate.start(actor, made.container)
            self.made += 1
            self.running += runs


def on_simulated_engine(sizes: list[int], runs: int) -> None:
    """Without Docker: what ds01 itself takes."""
    with simulated(GPUS) as gate:
        context, crowd = context_of(gate), Crowd(gate, "bench/image", 10**6)
        measured = []
        for size in sizes:
            crowd.grow(size)
            passes = [one_pass(context, lambda: simulated_engine(context.ledger.state), size) for _ in range(runs + 1)]
            # The first one looks at what is new.
            measured.append((size, statistics.median(report.seconds for report in passes[1:]) * 1000))
            print(f"tick            {size:4}  {measured[-1][1]:6.1f} ms, {crowd.running} of them running, simulated")
        say_growth(measured)


def on_real_docker(sizes: list[int], runs: int, most: int = 60) -> None:
    """On the Docker of this machine, with the API calls of a pass; root also has the whole program measured."""
    with on_docker(GPUS) as (gate, image):
        context, crowd = context_of(gate), Crowd(gate, image, most)
        own = environment(context.ledger.state, GPUS)
        measured = []
        for size in sizes:
            started = crowd.running
            crowd.grow(size)
            passes = [docker_pass(context, size) for _ in range(runs + 1)]
            took = [report.seconds * 1000 for report, _ in passes]
            calls = sorted({calls for _, calls in passes[1:]})
            measured.append((size, statistics.median(took[1:])))
            print(
                f"tick            {size:4}  {measured[-1][1]:6.1f} ms, {crowd.running} of them running, on Docker, "
                f"{' or '.join(map(str, calls))} API calls; the first pass, with {crowd.running - started} newly "
                f"started: {took[0]:.1f} ms, {passes[0][1]} API calls"
            )
            if os.geteuid() == 0:
                whole = statistics.median(timed([str(DS01), "tick"], own) for _ in range(runs))
                print(f"ds01 tick       {size:4}  {whole:6.1f} ms, the whole program")
        say_growth(measured)


def docker_pass(context: Context, size: int) -> tuple[TickReport, int]:
    """One pass on Docker, and how many API calls it made."""
    engines: list[DockerEngine] = []

    def another() -> Engine:
        engines.append(DockerEngine())
        return engines[-1]

    report = one_pass(context, another, size)
    return report, sum(engine.calls for engine in engines)


def one_pass(context: Context, engine: Callable[[], Engine], size: int) -> TickReport:
    """A tick as cron starts it: nothing is known yet. It has to be good, and to look at `size` containers."""
    notifier = Notifier(Mailboxes(context.ledger.state / "notices"), NotificationSettings(terminal=False))
    report = Tick(afresh(context, engine()), lambda: afresh(context, engine()), notifier).run()
    assert report.succeeded and report.looked_at == size, report
    return report
