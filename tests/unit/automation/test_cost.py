"""The cost of a tick: a constant number of engine calls, however many containers there are."""

from __future__ import annotations

from collections import Counter

from tests.fault_injection import CHANGING_CALLS, READING_CALLS, FaultyEngine, StepCounter
from tests.harness import Harness
from tests.tick_harness import TickHarness


def calls(ticker: TickHarness) -> Counter[str]:
    """What the engine is asked in one more pass. `usage` reads the kernel's files, and asks Docker nothing."""
    ticker.harness.clock.advance(minutes=5)
    steps = StepCounter(-1, lambda: None)
    report = ticker.make_tick(engine=FaultyEngine(ticker.harness.engine, steps, CHANGING_CALLS + READING_CALLS)).run()
    assert report.succeeded, report
    return Counter(steps.names)


def test_a_pass_asks_twice_however_many_run(harness: Harness) -> None:
    harness.set_policy("defaults: {max_containers_per_user: null, idle_timeout: 10h}\nports: []\n")
    ticker = TickHarness(harness)
    alice, gate = harness.actor("alice"), harness.gate
    workspace = str(harness.home("alice") / "workspace" / "thesis")
    made = 0
    for wanted in (5, 25):
        while made < wanted:
            gate.create(alice, harness.request("alice", f"c{made}", 0, workspace=workspace))
            if made % 3 == 0:
                gate.start(alice, harness.full("alice", f"c{made}"))
            made += 1
        calls(ticker)
        assert calls(ticker) == {"info": 1, "containers": 1}


def test_what_changed_is_inspected_once(harness: Harness) -> None:
    ticker = TickHarness(harness)
    ticker.start_container("alice")
    ticker.start_container("bob")
    harness.engine.kill(harness.full("alice"), code=0)
    assert calls(ticker) == {"info": 1, "containers": 1, "inspect": 1}
    assert calls(ticker) == {"info": 1, "containers": 1}
