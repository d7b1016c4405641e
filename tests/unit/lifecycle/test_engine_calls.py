"""How often a command asks the engine: with Docker each call takes milliseconds, and some take tens."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ds01.gate.gate import Gate
from tests.acts import ALICE
from tests.bed import Bed
from tests.faults import CHANGES, QUESTIONS, FaultyEngine, Steps


def watch(bed: Bed) -> tuple[Gate, Steps]:
    """A gate of a new process, and the names of the calls that it makes."""
    steps = Steps(-1, lambda: None)
    engine: Any = FaultyEngine(bed.engine, steps, CHANGES + QUESTIONS)
    return bed.another_gate(engine=engine), steps


def test_a_deploy_of_a_present_image_asks_the_engine_23_times(bed: Bed) -> None:
    gate, steps = watch(bed)
    alice, request = bed.actor("alice"), bed.request("alice", gpus=1)
    assert gate.plan(alice, request).refusal is None
    gate.create(alice, request)
    gate.start(alice, ALICE)
    calls = Counter(steps.names)
    assert calls["facts"] == 3 and calls["containers"] == 2 and calls["inspect"] == 4
    assert sum(calls.values()) <= 23, calls


def test_a_stop_and_a_removal_look_at_one_container_only(bed: Bed) -> None:
    bed.gate.create(bed.actor("alice"), bed.request("alice", gpus=1))
    bed.gate.start(bed.actor("alice"), ALICE)
    gate, steps = watch(bed)
    gate.stop(bed.actor("alice"), ALICE)
    gate.remove(bed.actor("alice"), ALICE)
    calls = Counter(steps.names)
    assert calls["containers"] == 0, calls
