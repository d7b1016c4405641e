"""A stop lets processes save their work: which are waited for, what is reported, and how long it takes."""

from __future__ import annotations

import time
from typing import Any

import pytest

from ds01.api.steps import Saving
from ds01.engines.protocol import ContainerProcess, ExecRequest
from ds01.errors import EngineRejected
from ds01.lifecycle.stop import POLL_INTERVAL, let_save
from tests.harness import Harness

ALICE_THESIS = "thesis._.70001"


@pytest.fixture
def running(harness: Harness) -> Harness:
    harness.gate.create(harness.actor("alice"), harness.request("alice"))
    harness.gate.start(harness.actor("alice"), ALICE_THESIS)
    return harness


def test_idle_shells_are_not_waited_for(running: Harness) -> None:
    for shell in ("bash", "-bash", "/bin/bash -i", "sh", "zsh --login", "/usr/bin/fish", "bash -l -i"):
        running.engine.spawn(ALICE_THESIS, shell, stubborn=True)
    assert running.gate.processes(running.actor("alice"), ALICE_THESIS) == 0
    running.gate.stop(running.actor("alice"), ALICE_THESIS)
    assert running.slept == []


@pytest.mark.parametrize(
    "command", ["python train.py", "bash train.sh", "bash -c sleep 1", "sh -ec work", "tmux", "bashful", "/opt/sh/tool"]
)
def test_a_process_that_saves_in_time_is_waited_for(running: Harness, command: str) -> None:
    running.engine.spawn(ALICE_THESIS, command)
    assert running.gate.processes(running.actor("alice"), ALICE_THESIS) == 1
    assert running.gate.stop(running.actor("alice"), ALICE_THESIS).container.state == "held"
    assert running.slept == []  # it obeyed at once


def test_a_stubborn_one_is_given_the_grace_and_no_more(running: Harness, gate: Any) -> None:
    running.engine.spawn(ALICE_THESIS, "python train.py", stubborn=True)
    assert gate.stop(running.actor("alice"), ALICE_THESIS, grace=5).container.state == "held"
    assert sum(running.slept) == pytest.approx(5)


def test_the_policys_grace_is_taken_if_none_is_said(running: Harness) -> None:
    running.engine.spawn(ALICE_THESIS, "python train.py", stubborn=True)
    running.gate.stop(running.actor("alice"), ALICE_THESIS)
    assert sum(running.slept) == pytest.approx(60)


@pytest.mark.parametrize("grace", [0, -1.0])
def test_without_grace_it_ends_at_once(running: Harness, grace: float) -> None:
    running.engine.spawn(ALICE_THESIS, "python train.py", stubborn=True)
    told: list[Any] = []
    run, stop = running.engine.run, running.engine.stop
    running.engine.run = lambda *args: told.append(args) or run(*args)  # type: ignore
    running.engine.stop = lambda name, *, grace: told.append(grace) or stop(name, grace=grace)  # type: ignore
    running.gate.stop(running.actor("alice"), ALICE_THESIS, grace=grace)
    assert told == [0.0]
    assert running.slept == []


def test_a_paused_one_is_let_go_on_so_that_it_can_save(running: Harness) -> None:
    running.gate.pause(running.actor("alice"), ALICE_THESIS)
    assert running.gate.stop(running.actor("alice"), ALICE_THESIS).container.state == "held"


class Scripted:
    """An engine that shows one list of processes after the other."""

    def __init__(self, *shown: list[tuple[int, int, str]], fails: bool = False) -> None:
        self.shown = [[ContainerProcess(*process) for process in each] for each in shown]
        self.fails = fails
        self.told: list[ExecRequest] = []

    def processes(self, reference: str) -> list[ContainerProcess]:
        return self.shown.pop(0) if len(self.shown) > 1 else self.shown[0]

    def run(self, reference: str, what: ExecRequest) -> int:
        if self.fails:
            raise EngineRejected("its shell is broken")
        self.told.append(what)
        return 0


FIRST = (100, 1, "sh -c exec bash")


def save(harness: Harness, engine: Scripted, seconds: float = 10) -> int:
    """How often it waited."""
    list(let_save(harness.make_context(engine=engine), "x", seconds))  # type: ignore[arg-type]
    assert all(waited == POLL_INTERVAL for waited in harness.slept)
    return len(harness.slept)


def test_stop_signals_once_and_waits(harness: Harness) -> None:
    busy = [FIRST, (101, 100, "python train.py")]
    engine = Scripted(busy, busy, busy, [FIRST])
    assert save(harness, engine) == 2
    (told,) = engine.told
    assert (told.user, "TERM" in " ".join(told.command)) == ("0:0", True)


def test_a_shell_with_children_is_at_work(harness: Harness) -> None:
    engine = Scripted([FIRST, (101, 100, "bash"), (102, 101, "sleep 9")], [FIRST, (101, 100, "bash")])
    assert save(harness, engine) == 0
    assert len(engine.told) == 1


def test_whose_shell_is_broken_is_stopped_all_the_same(harness: Harness) -> None:
    assert save(harness, Scripted([FIRST, (101, 100, "python")], fails=True)) == 0


def test_no_grace_is_longer_than_asked_for(harness: Harness) -> None:
    assert save(harness, Scripted([FIRST, (101, 100, "python")]), seconds=0.35) <= 4


def test_the_grace_is_time_also_if_docker_is_slow(running: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Docker takes 0.7 s to list the processes, and every pause takes its time."""
    running.engine.spawn(ALICE_THESIS, "python train.py", stubborn=True)
    now = [1000.0]
    graces: list[float] = []
    processes, stop = running.engine.processes, running.engine.stop

    def slow(reference: str) -> list[ContainerProcess]:
        now[0] += 0.7
        return processes(reference)

    def pause(seconds: float) -> None:
        now[0] += seconds

    def noted(reference: str, *, grace: float) -> None:
        graces.append(grace)
        stop(reference, grace=grace)

    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(running.engine, "processes", slow)
    monkeypatch.setattr(running.engine, "stop", noted)
    running.set_context(sleep=pause)
    running.gate.stop(running.actor("alice"), ALICE_THESIS, grace=10)
    assert 10 <= now[0] - 1000 + graces[0] < 11


def test_each_change_of_waiting_processes_is_yielded(harness: Harness) -> None:
    two = [FIRST, (101, 100, "python a.py"), (102, 100, "python b.py")]
    engine = Scripted(two, two, two, two[:2], [FIRST])
    said = list(let_save(harness.make_context(engine=engine), "x", 10))  # type: ignore[arg-type]
    assert said == [Saving(2, 10), Saving(1, 10)]


def test_end_of_grace_yields_remaining_processes(harness: Harness) -> None:
    engine = Scripted([FIRST, (101, 100, "python train.py")])
    said = list(let_save(harness.make_context(engine=engine), "x", 3))  # type: ignore[arg-type]
    assert said == [Saving(1, 3), Saving(1, 0)]


def test_nothing_is_said_of_processes_that_end_at_once(running: Harness, gate: Any) -> None:
    running.engine.spawn(ALICE_THESIS, "python train.py")
    (step,) = gate.stop_steps(running.actor("alice"), ALICE_THESIS)
    assert step.saving is None and step.acted.container.state == "held"


@pytest.mark.parametrize("method", ["stop_steps", "remove_steps"])
def test_a_stop_that_is_broken_off_leaves_the_container_running(running: Harness, gate: Any, method: str) -> None:
    running.engine.spawn(ALICE_THESIS, "python train.py", stubborn=True)
    options = {"force": True} if method == "remove_steps" else {}
    steps = getattr(gate, method)(running.actor("alice"), ALICE_THESIS, **options)
    assert next(steps).saving == Saving(1, 60)
    steps.close()
    assert running.record("alice").state.value == "running"
    assert (
        running.gate.stop(running.actor("alice"), ALICE_THESIS, grace=0).container.state == "held"
    )  # its lock is free


def test_a_removal_says_who_may_save_before_it_removes(running: Harness, gate: Any) -> None:
    running.engine.spawn(ALICE_THESIS, "python train.py", stubborn=True)
    *steps, last = gate.remove_steps(running.actor("alice"), ALICE_THESIS, force=True)
    assert [step.saving for step in steps] == [Saving(1, 60), Saving(1, 0)]
    assert last.acted.container.state == "removed" and running.records() == []
