"""How many engine calls a command makes: with Docker each takes milliseconds, and some take tens."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.actions import ALICE_THESIS
from tests.client import Client
from tests.fault_injection import CHANGING_CALLS, READING_CALLS, FaultyEngine, StepCounter
from tests.harness import Harness


def watch(harness: Harness) -> tuple[Client, StepCounter]:
    """A gate of a new process, and the names of the calls that it makes."""
    steps = StepCounter(-1, lambda: None)
    engine: Any = FaultyEngine(harness.engine, steps, CHANGING_CALLS + READING_CALLS)
    return harness.another_gate(engine=engine), steps


def test_a_deploy_of_a_present_image_asks_the_engine_15_times(harness: Harness) -> None:
    gate, steps = watch(harness)
    gate.create(harness.actor("alice"), harness.request("alice", gpus=1), start=True, pull=True)
    calls = Counter(steps.names)
    assert calls["info"] == 1 and calls["containers"] == 1 and calls["inspect"] == 2 and calls["image"] == 1
    assert sum(calls.values()) <= 15, calls


def test_a_stop_and_a_removal_look_at_one_container_only(harness: Harness) -> None:
    harness.gate.create(harness.actor("alice"), harness.request("alice", gpus=1))
    harness.gate.start(harness.actor("alice"), ALICE_THESIS)
    gate, steps = watch(harness)
    gate.stop(harness.actor("alice"), ALICE_THESIS)
    gate.remove(harness.actor("alice"), ALICE_THESIS)
    calls = Counter(steps.names)
    assert calls["containers"] == 0, calls
