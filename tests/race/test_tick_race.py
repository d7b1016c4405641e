"""Ticks that are killed anywhere, and that run beside each other and beside commands."""

from __future__ import annotations

import os
import threading
import time
from datetime import timedelta

import pytest

from ds01.errors import Busy, Ds01Error
from ds01.journal.notices import Mailboxes
from tests import invariants
from tests.client import Client
from tests.fault_injection import (
    CHANGING_CALLS,
    FaultyEngine,
    StepCounter,
    count_commits_as_steps,
    kill_self,
    was_killed,
)
from tests.harness import Harness
from tests.tick_harness import TickHarness

POLICY = """\
defaults: {max_mig_instances: 2, max_gpus_per_container: 2, max_containers_per_user: 9, idle_timeout: 10h,
           gpu_hold_after_stop: 20h, container_hold_after_stop: 40h}
"""
PEOPLE = ("alice", "bob", "carol")
# Hours since the begin of each tick: warned, stopped, the hold over, removal announced, removed.
HOURS = (9, 11, 32, 48, 55)


@pytest.fixture
def ticker(harness: Harness) -> TickHarness:
    harness.set_policy(POLICY)
    return TickHarness(harness)


def begin(ticker: TickHarness) -> None:
    """Four containers: idle, started by hand on another's GPU, vanished, never started."""
    harness = ticker.harness
    ticker.start_container("alice")
    ticker.start_container("bob")
    harness.gate.stop(harness.actor("bob"), harness.full("bob"), release=True)
    ticker.start_container("carol", gpus=2)
    harness.clock.advance(seconds=1)
    harness.engine.start(harness.full("bob"))
    for name, gpus in (("fresh", 1), ("gone", 0)):
        harness.gate.create(harness.actor("alice"), harness.request("alice", name, gpus, workspace=workspace(harness)))
    harness.engine.remove_by_force(harness.full("alice", "gone"))


def workspace(harness: Harness) -> str:
    return str(harness.home("alice") / "workspace" / "thesis")


def killed(ticker: TickHarness, at: int, *, after: bool) -> bool:
    """Whether a child that does a pass was killed at its step number `at`: a call of the engine, a commit, a notice."""
    harness = ticker.harness
    child = os.fork()
    if child == 0:
        code = 1
        try:
            steps = StepCounter(at, kill_self, after=after)
            count_commits_as_steps(steps, setattr)
            deliver = Mailboxes.deliver
            Mailboxes.deliver = lambda *args: steps.run_step("deliver", lambda: deliver(*args))  # type: ignore[method-assign]
            report = ticker.make_tick(engine=FaultyEngine(harness.engine, steps, CHANGING_CALLS)).run()
            code = 0 if report.succeeded else 2
        finally:
            os._exit(code)
    return was_killed(child)


@pytest.mark.parametrize(("which", "after"), [*((which, False) for which in range(len(HOURS))), (1, True)])
def test_a_tick_that_is_killed_at_any_step_leaves_a_legal_state(ticker: TickHarness, which: int, after: bool) -> None:
    harness = ticker.harness
    for at in range(40):
        begin(ticker)
        began = harness.clock()
        for hours in HOURS[:which]:
            harness.clock.time = began + timedelta(hours=hours)
            ticker.tick()
        harness.clock.time = began + timedelta(hours=HOURS[which])
        warned = {record.name for record in harness.records() if record.warnings}
        running = {record.name for record in harness.records() if record.state.value == "running"}
        died = killed(ticker, at, after=after)
        invariants.check(harness)
        ended = [record for record in harness.records() if record.history[-1].trigger.value == "stop"]
        assert all(record.name in warned for record in ended if record.name in running), "stopped without a warning"
        ticker.tick(minutes=5)
        invariants.check_settled(harness)
        ticker.tick(minutes=5)
        invariants.check_settled(harness)
        for record in harness.records():
            harness.gate.remove(harness.actor("root"), record.container_name, force=True)
        assert harness.leased() == {}
        if not died:
            assert at > 0
            return
    pytest.fail("it never came to its end")


def test_a_tick_and_commands_on_the_same_container_do_not_meet(ticker: TickHarness) -> None:
    """Whatever a person does while ticks run on and on: no command fails because of a tick, and all is legal."""
    harness = ticker.harness
    harness.set_policy(POLICY.replace("10h", "1s").replace("20h", "1s"))
    failures: list[BaseException] = []
    stop = threading.Event()

    def ticks() -> None:
        try:
            while not stop.is_set():
                harness.clock.advance(seconds=0.5)
                ticker.make_tick().run()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=ticks)
    thread.start()
    try:
        gate, alice = Client(harness.make_context()), harness.actor("alice")
        name = harness.full("alice")
        until = time.monotonic() + 2.5
        rounds = 0
        while time.monotonic() < until:
            gate.create(alice, harness.request("alice", gpus=1))
            gate.start(alice, name)
            gate.pause(alice, name) if harness.record("alice").state.value == "running" else None
            gate.stop(alice, name)
            gate.remove(alice, name, force=True)
            rounds += 1
    except Ds01Error as error:
        # It may have been stopped a moment before: that is what ticks are for. Never `busy`, never `changed meanwhile`.
        assert not isinstance(error, Busy), error
    finally:
        stop.set()
        thread.join()
    assert failures == []
    invariants.check(harness)
    harness.another_gate().reconcile(harness.actor("root"))
    invariants.check_settled(harness)
