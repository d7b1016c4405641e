"""What a pass costs: a constant number of calls to the engine, however many containers there are."""

from __future__ import annotations

from collections import Counter

from tests.bed import Bed
from tests.faults import CHANGES, QUESTIONS, FaultyEngine, Steps
from tests.ticking import Ticking


def calls(ticking: Ticking) -> Counter[str]:
    """What the engine is asked in one more pass. `usage` reads the kernel's files, and asks Docker nothing."""
    ticking.bed.clock.advance(minutes=5)
    steps = Steps(-1, lambda: None)
    report = ticking.make(engine=FaultyEngine(ticking.bed.engine, steps, CHANGES + QUESTIONS)).run()
    assert report.good, report
    return Counter(steps.names)


def test_a_pass_asks_twice_however_many_run(bed: Bed) -> None:
    bed.set_policy("defaults: {max_containers_per_user: null, idle_timeout: 10h}\nports: []\n")
    ticking = Ticking(bed)
    alice, gate = bed.actor("alice"), bed.gate
    workspace = str(bed.home("alice") / "workspace" / "thesis")
    made = 0
    for wanted in (5, 25):
        while made < wanted:
            gate.create(alice, bed.request("alice", f"c{made}", 0, workspace=workspace))
            if made % 3 == 0:
                gate.start(alice, bed.full("alice", f"c{made}"))
            made += 1
        calls(ticking)
        assert calls(ticking) == {"info": 1, "containers": 1}


def test_what_changed_is_inspected_once(bed: Bed) -> None:
    ticking = Ticking(bed)
    ticking.runs("alice")
    ticking.runs("bob")
    bed.engine.kill(bed.full("alice"), code=0)
    assert calls(ticking) == {"info": 1, "containers": 1, "inspect": 1}
    assert calls(ticking) == {"info": 1, "containers": 1}
