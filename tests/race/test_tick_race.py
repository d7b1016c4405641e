"""Ticks that are killed anywhere, that meet each other, and that meet commands."""

from __future__ import annotations

import os
import threading
import time
from datetime import timedelta

import pytest

from ds01.errors import Busy, Ds01Error
from ds01.journal.notices import Mailboxes
from tests import legal
from tests.bed import Bed
from tests.client import Client
from tests.faults import CHANGES, FaultyEngine, Steps, die, was_killed, watch_commits
from tests.ticking import Ticking

POLICY = """\
defaults: {max_mig_instances: 2, max_gpus_per_container: 2, max_containers_per_user: 9, idle_timeout: 10h,
           gpu_hold_after_stop: 20h, container_hold_after_stop: 40h}
"""
PEOPLE = ("alice", "bob", "carol")
# Hours since the begin of each tick: warned, stopped, the hold over, removal announced, removed.
HOURS = (9, 11, 32, 48, 55)


@pytest.fixture
def ticking(bed: Bed) -> Ticking:
    bed.set_policy(POLICY)
    return Ticking(bed)


def begin(ticking: Ticking) -> None:
    """One that is idle, one that was started by hand on somebody else's GPU, one that vanished, one never started."""
    bed = ticking.bed
    ticking.runs("alice")
    ticking.runs("bob")
    bed.gate.stop(bed.actor("bob"), bed.full("bob"), release=True)
    ticking.runs("carol", gpus=2)
    bed.clock.advance(seconds=1)
    bed.engine.start(bed.full("bob"))
    for name, gpus in (("fresh", 1), ("gone", 0)):
        bed.gate.create(bed.actor("alice"), bed.request("alice", name, gpus, workspace=workspace(bed)))
    bed.engine.remove_by_force(bed.full("alice", "gone"))


def workspace(bed: Bed) -> str:
    return str(bed.home("alice") / "workspace" / "thesis")


def killed(ticking: Ticking, at: int, *, after: bool) -> bool:
    """Whether a child that does a pass was killed at its step number `at`: a call of the engine, a commit, a notice."""
    bed = ticking.bed
    child = os.fork()
    if child == 0:
        code = 1
        try:
            steps = Steps(at, die, after=after)
            watch_commits(steps, setattr)
            deliver = Mailboxes.deliver
            Mailboxes.deliver = lambda *args: steps.around("deliver", lambda: deliver(*args))  # type: ignore[method-assign]
            report = ticking.make(engine=FaultyEngine(bed.engine, steps, CHANGES)).run()
            code = 0 if report.good else 2
        finally:
            os._exit(code)
    return was_killed(child)


@pytest.mark.parametrize(("which", "after"), [*((which, False) for which in range(len(HOURS))), (1, True)])
def test_a_tick_that_is_killed_at_any_step_leaves_a_legal_state(ticking: Ticking, which: int, after: bool) -> None:
    bed = ticking.bed
    for at in range(40):
        begin(ticking)
        began = bed.clock()
        for hours in HOURS[:which]:
            bed.clock.time = began + timedelta(hours=hours)
            ticking.tick()
        bed.clock.time = began + timedelta(hours=HOURS[which])
        warned = {record.name for record in bed.records() if record.warnings}
        running = {record.name for record in bed.records() if record.state.value == "running"}
        died = killed(ticking, at, after=after)
        legal.check(bed)
        ended = [record for record in bed.records() if record.history[-1].trigger.value == "stop"]
        assert all(record.name in warned for record in ended if record.name in running), "stopped without a warning"
        ticking.tick(minutes=5)
        legal.check_settled(bed)
        ticking.tick(minutes=5)
        legal.check_settled(bed)
        for record in bed.records():
            bed.gate.remove(bed.actor("root"), record.container_name, force=True)
        assert bed.leased() == {}
        if not died:
            assert at > 0
            return
    pytest.fail("it never came to its end")


def test_a_tick_and_commands_on_the_same_container_do_not_meet(ticking: Ticking) -> None:
    """Whatever a person does while ticks run on and on: no command fails because of a tick, and all is legal."""
    bed = ticking.bed
    bed.set_policy(POLICY.replace("10h", "1s").replace("20h", "1s"))
    failures: list[BaseException] = []
    stop = threading.Event()

    def ticks() -> None:
        try:
            while not stop.is_set():
                bed.clock.advance(seconds=0.5)
                ticking.make().run()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=ticks)
    thread.start()
    try:
        gate, alice = Client(bed.make_context()), bed.actor("alice")
        name = bed.full("alice")
        until = time.monotonic() + 2.5
        rounds = 0
        while time.monotonic() < until:
            gate.create(alice, bed.request("alice", gpus=1))
            gate.start(alice, name)
            gate.pause(alice, name) if bed.record("alice").state.value == "running" else None
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
    legal.check(bed)
    bed.another_gate().reconcile(bed.actor("root"))
    legal.check_settled(bed)
