"""How often a command asks the engine: with Docker each call takes milliseconds, and some take tens."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.acts import ALICE
from tests.bed import Bed
from tests.client import Client
from tests.faults import CHANGES, QUESTIONS, FaultyEngine, Steps


def watch(bed: Bed) -> tuple[Client, Steps]:
    """A gate of a new process, and the names of the calls that it makes."""
    steps = Steps(-1, lambda: None)
    engine: Any = FaultyEngine(bed.engine, steps, CHANGES + QUESTIONS)
    return bed.another_gate(engine=engine), steps


def test_a_deploy_of_a_present_image_asks_the_engine_17_times(bed: Bed) -> None:
    gate, steps = watch(bed)
    gate.create(bed.actor("alice"), bed.request("alice", gpus=1), start=True, pull=True)
    calls = Counter(steps.names)
    assert calls["info"] == 1 and calls["containers"] == 1 and calls["inspect"] == 2 and calls["image"] == 1
    assert sum(calls.values()) <= 17, calls


def test_a_stop_and_a_removal_look_at_one_container_only(bed: Bed) -> None:
    bed.gate.create(bed.actor("alice"), bed.request("alice", gpus=1))
    bed.gate.start(bed.actor("alice"), ALICE)
    gate, steps = watch(bed)
    gate.stop(bed.actor("alice"), ALICE)
    gate.remove(bed.actor("alice"), ALICE)
    calls = Counter(steps.names)
    assert calls["containers"] == 0, calls
