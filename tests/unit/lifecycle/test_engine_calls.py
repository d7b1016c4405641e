"""How many engine calls a command makes: with Docker each takes milliseconds, and some take tens."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from ds01.api.containers import CreateContainer
from ds01.errors import Busy, EngineRejected
from ds01.records.ledger import Ledger
from ds01.records.record import Record
from ds01.records.state_machine import State
from tests.actions import ALICE_THESIS
from tests.client import Client
from tests.fault_injection import CHANGING_CALLS, READING_CALLS, FaultyEngine, StepCounter, make_raiser
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


@pytest.mark.parametrize("wait", [False, True])
@pytest.mark.parametrize("act", ["start", "remove", "stop", "remake"])
def test_no_other_command_comes_between_create_and_start(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, act: str, wait: bool
) -> None:
    """Another process tries when the create is complete, and when the engine is about to start the container."""
    monkeypatch.setattr(Ledger.container_lock.__wrapped__, "__kwdefaults__", {"wait": 0.0})  # type: ignore[attr-defined]
    other = harness.another_gate()
    refused: list[str] = []

    class Watched(FaultyEngine):
        def start(self, reference: str) -> None:
            try_to_act()
            harness.engine.start(reference)

    def try_to_act() -> None:
        with pytest.raises(Busy, match="being created by alice"):
            getattr(other, act)(harness.actor("alice"), ALICE_THESIS)
        refused.append(act)

    gate = harness.another_gate(engine=Watched(harness.engine, StepCounter(-1, lambda: None)))  # type: ignore[arg-type]
    refresh = gate.context.rules.refresh

    def refresh_between() -> None:
        if isinstance(gate.context.ledger.read().get(ALICE_THESIS), Record):
            try_to_act()
        refresh()

    monkeypatch.setattr(gate.context.rules, "refresh", refresh_between)
    gate.create(harness.actor("alice"), harness.request("alice"), start=True, pull=True, wait=wait)
    assert len(refused) == 2
    monkeypatch.undo()
    assert harness.record("alice").state is State.RUNNING
    other.stop(harness.actor("alice"), ALICE_THESIS)  # the lock is free again


def test_a_failed_start_announces_the_container_and_frees_its_lock(harness: Harness) -> None:
    steps = StepCounter(0, make_raiser(EngineRejected("Docker refused")))
    gate = harness.another_gate(engine=FaultyEngine(harness.engine, steps, ("start",)))  # type: ignore[arg-type]
    stages = []
    with pytest.raises(EngineRejected, match="Docker refused"):
        for step in gate.stream(
            harness.actor("alice"), CreateContainer(harness.request("alice"), start=True, pull=True)
        ):
            stages.append(step.stage)
    assert stages == ["creating", "created"]
    assert harness.ledger.container_lock_is_free(ALICE_THESIS)
