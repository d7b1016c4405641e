"""A harness whose events lie in a log, and whose ticks write the accounting."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from ds01.gpus.model import GpuObservation
from ds01.gpus.simulated import SimulatedInventory
from ds01.journal.events import EventLog
from ds01.observe.accounting.recorder import AccountingProblem, record_tick
from ds01.records.record import Record
from ds01.records.state_machine import State
from ds01.system.clock import server_zone
from tests.harness import Harness
from tests.tick_harness import TickHarness

WITHOUT_LEASE = (State.STOPPED, State.REMOVED)


@dataclass
class AccountingHarness:
    """A harness with a log and ticks that write the database."""

    harness: Harness

    def __post_init__(self) -> None:
        self.log = self.harness.state / "log"
        self.log.mkdir(exist_ok=True)
        self.path = self.harness.ledger.accounting_path
        self.harness.log = EventLog(self.log / "events.jsonl", clock=self.harness.clock)

    def tick(self, **by: float) -> None:
        """Advance the time, run a tick that must be complete, and write the accounting."""
        self.harness.clock.advance(**by)
        tick = TickHarness(self.harness).make_tick()
        report = tick.run()
        assert report.succeeded, report
        problem = record_tick(self.harness.ledger, self.log, tick.observed, self.harness.clock(), server_zone())
        assert problem is None, problem

    def record(self) -> AccountingProblem | None:
        """Write the accounting without an observation."""
        return record_tick(self.harness.ledger, self.log, None, self.harness.clock(), server_zone())

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query, read as another user reads them."""
        with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)) as connection:
            return connection.execute(query, values).fetchall()

    def set_gpus(self, **utilisation: float | None) -> None:
        """Set the utilisation of slots: `slot_0=50` and `slot_1_0=None`."""
        by_slot = {name.removeprefix("slot_").replace("_", ":"): value for name, value in utilisation.items()}
        observed = self.harness.inventory.observe()
        gpus = tuple(
            replace(gpu, utilisation_percent=by_slot.get(str(gpu.index), gpu.utilisation_percent))
            for gpu in observed.gpus
        )
        slots = tuple(
            replace(slot, utilisation_percent=by_slot.get(slot.slot, slot.utilisation_percent))
            for slot in observed.slots
        )
        self.observe(replace(observed, gpus=gpus, slots=slots))

    def set_energy(self, **joules: float | None) -> None:
        """Set the energy counters of GPUs: `gpu_0=1000`."""
        observed = self.harness.inventory.observe()
        gpus = tuple(
            replace(gpu, energy_joules=joules.get(f"gpu_{gpu.index}", gpu.energy_joules)) for gpu in observed.gpus
        )
        self.observe(replace(observed, gpus=gpus))

    def observe(self, observation: GpuObservation) -> None:
        self.harness.inventory = SimulatedInventory(observation)

    def all_records(self) -> list[Record]:
        """Return the records on disk, removed ones included."""
        ledger = self.harness.open_ledger()
        return [*self.harness.records(), *ledger.removed()]


def lease_times(record: Record, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Yield when each slot of a record was leased, from its history alone.

    What was started outside ds01, and stopped before ds01 looked, has had no lease: a lease would be held.
    """
    begin: datetime | None = None
    for step, following in zip(record.history, [*record.history[1:], None], strict=True):
        if begin is None and step.to not in WITHOUT_LEASE:
            is_over = following is not None and following.to is State.STOPPED
            if step.actor == "observed" and is_over and following is not None and following.actor == "observed":
                continue
            begin = min(record.created_at, step.at) if step.source is None else step.at
        elif begin is not None and step.to in WITHOUT_LEASE:
            yield begin, step.at
            begin = None
    if begin is not None:
        yield begin, now


def lease_sum(records: list[Record], now: datetime) -> timedelta:
    """Return the lease time of all slots of all records."""
    return sum(
        (
            (end - begin) * len(record.gpus_fixed)
            for record in records
            for begin, end in lease_times(record, now)
        ),
        timedelta(0),
    )  # fmt: skip


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)
