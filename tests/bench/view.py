"""The view of the server over growing numbers of containers, on the simulated engine: what ds01 itself takes."""

from __future__ import annotations

import statistics
import time

from ds01.api.seeing.operations import GetServerView
from tests.bench.bed import UID, afresh, context_of, simulated, simulated_engine
from tests.bench.programs import say_growth
from tests.bench.tick import GPUS, Crowd
from tests.client import Client


def view(sizes: list[int], runs: int) -> None:
    """56 slots and growing numbers of containers, of which three of ten run; each time as a new process sees them."""
    with simulated(GPUS) as gate:
        context, crowd = context_of(gate), Crowd(gate, "bench/image", 10**6)
        actor = context.users.actor(UID)
        measured = []
        for size in sizes:
            crowd.grow(size)
            times = []
            for _ in range(runs):
                client = Client(afresh(context, simulated_engine(context.ledger.state)))
                begun = time.perf_counter()
                client.run(actor, GetServerView())
                times.append((time.perf_counter() - begun) * 1000)
            measured.append((size, statistics.median(times)))
            print(f"view of the server {size:4} containers  {measured[-1][1]:6.1f} ms")
        say_growth(measured)
