"""How many engine calls a command makes: with Docker each takes milliseconds, and some take tens."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.actions import ALICE_THESIS
from tests.client import Client
from tests.fault_injection import CHANGING_CALLS, READING_CALLS, FaultyEngine, StepCounter
from tests.harness import Harness


def watch(harness: Harness) -> tuple[Client, StepCounter]:
    """A gate of a new process, and the names of the calls that it makes."""
    steps = StepCounter(-1, lambda: None)
    engine: Any = FaultyEngine(harness.engine, steps, CHANGING_CALLS + READING_CALLS)
    return harness.another_gate(engine=engine), steps


# What a deploy of a present image asks at least; of a known image, that is all.
DEPLOY = {
    "image": 1, "info": 1, "containers": 1, "tag": 1, "create": 1, "inspect": 2, "put_archive": 1, "start": 1,
}  # fmt: skip


def deploy(harness: Harness, login: str, image: str) -> Counter[str]:
    """The calls of a deploy."""
    gate, steps = watch(harness)
    gate.create(harness.actor(login), harness.request(login, image=image, gpus=1), start=True, pull=True)
    return Counter(steps.names)


def test_a_deploy_of_an_image_for_the_first_time_asks_the_engine_12_times(harness: Harness) -> None:
    calls = deploy(harness, "alice", "any/image")
    assert calls == {**DEPLOY, "get_archive": 2, "path_status": 1}
    assert sum(calls.values()) == 12


@pytest.mark.parametrize("image", ["any/image", "lab/rootconda", "lab/rootuv", "any/nobash"])
def test_a_deploy_of_a_known_image_asks_the_engine_9_times(image: str, harness: Harness) -> None:
    deploy(harness, "alice", image)
    calls = deploy(harness, "bob", image)
    assert calls == DEPLOY
    assert sum(calls.values()) == 9


def test_a_stop_and_a_removal_look_at_one_container_only(harness: Harness) -> None:
    harness.gate.create(harness.actor("alice"), harness.request("alice", gpus=1))
    harness.gate.start(harness.actor("alice"), ALICE_THESIS)
    gate, steps = watch(harness)
    gate.stop(harness.actor("alice"), ALICE_THESIS)
    gate.remove(harness.actor("alice"), ALICE_THESIS)
    calls = Counter(steps.names)
    assert calls["containers"] == 0, calls
