"""One allocation: how long the ledger's lock is held for it, which nobody else can have meanwhile."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ds01.errors import Ds01Error
from ds01.lifecycle import create as creating
from ds01.system import locks
from tests.bench.bed import UID, context_of, request, simulated


def allocation(slots: int = 56, records: int = 500, runs: int = 30) -> None:
    """One allocation, with most slots leased and many records of containers without a GPU."""
    with simulated(f"{slots // 7}xA100:7x1g.5gb") as gate:
        context = context_of(gate)
        actor = context.users.actor(UID)
        for number in range(records):
            gpus = 1 if number < slots - 1 else 0
            gate.create(actor, request(context, f"c{number}", gpus))
        under, whole = [], []
        held = Held()
        for number in range(runs):
            prepared = creating.prepare(context, actor, request(context, f"new{number}", 1))
            held.milliseconds = 0.0
            begun = time.perf_counter()
            snapshot, driver = creating.observe(context, prepared, locked=False)
            record, _ = creating.reserve(context, actor, prepared, snapshot, driver)
            whole.append((time.perf_counter() - begun) * 1000)
            under.append(held.milliseconds)
            creating._undo(context, actor, record, Ds01Error("only measured"))
        held_for, in_all = statistics.median(under), statistics.median(whole)
        print(f"one allocation       {held_for:6.1f} ms under the lock, {in_all:.1f} ms in all,", end=" ")
        print(f"with {slots} slots and {records} records")


class Held:
    """Adds up how long the ledger's lock is held from now on, from the moment that it is had."""

    def __init__(self) -> None:
        self.milliseconds = 0.0
        original = locks.hold

        @contextmanager
        def timed(path: Path, **options: Any) -> Iterator[int]:
            with original(path, **options) as descriptor:
                begun = time.perf_counter()
                yield descriptor
                if path.name == "ledger.lock":
                    self.milliseconds += (time.perf_counter() - begun) * 1000

        locks.hold = timed
