"""Failures in a tick: nothing is decided without an observation, others are not affected, the next tick retries."""

from __future__ import annotations

import dataclasses
import errno
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ds01.automation import sampler as sampler_module
from ds01.automation import tick as tick_module
from ds01.engines.protocol import ContainerStatus
from ds01.engines.simulated.engine import SimulatedEngine
from ds01.errors import Ds01Error, EngineRejected, EngineUnreachable, GpusUnreachable
from ds01.gpus.model import GpuObservation
from ds01.gpus.simulated import SimulatedInventory
from ds01.lifecycle import stop as stopping
from ds01.records.ledger import Transaction
from ds01.system import files
from tests import invariants
from tests.client import Client
from tests.fault_injection import FaultyEngine, StepCounter, make_raiser
from tests.harness import Harness
from tests.tick_harness import TickHarness, actions_of, warnings_of

ALICE_THESIS, BOB_THESIS = "thesis._.70001", "thesis._.70002"


def due(ticker: TickHarness, *, gpus: int | None = None) -> None:
    """Alice's and bob's containers are idle, were warned, and are due at the next tick."""
    ticker.start_container("alice", gpus=gpus)
    ticker.start_container("bob", gpus=gpus)
    ticker.tick(hours=9)
    ticker.harness.clock.advance(hours=2)


def picture(harness: Harness) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in (harness.state / "container-metadata").rglob("*.json")}


class NoGpus:
    """NVML that cannot be asked."""

    def __init__(self, problem: str) -> None:
        self.problem = problem

    def observe(self, *, utilisation: bool = False) -> GpuObservation:
        raise GpusUnreachable("The GPUs cannot be asked.", data={"problem": self.problem})


# nothing was observed, so nothing is judged


def test_without_docker_nothing_is_judged(ticker: TickHarness) -> None:
    due(ticker)
    before = picture(ticker.harness)
    ticker.harness.engine.set_answering(False)
    report = ticker.run_tick()
    assert not report.succeeded
    assert [(item.action, item.why) for item in report.errors] == [
        ("judge", "Docker is not running: the simulated engine was told not to answer")
    ]
    assert picture(ticker.harness) == before
    ticker.harness.engine.set_answering(True)
    assert actions_of(ticker.tick(minutes=5)) == [("thesis", "stop"), ("thesis", "stop")]


def test_another_docker_is_not_believed(ticker: TickHarness) -> None:
    due(ticker)
    before = picture(ticker.harness)
    other = SimulatedEngine(ticker.harness.state / "other.json", clock=ticker.harness.clock)
    report = ticker.make_tick(engine=other).run()
    assert [item.why.partition(":")[0] for item in report.errors] == ["this is not the same Docker as last time"]
    assert picture(ticker.harness) == before


@pytest.mark.parametrize("problem", ["driver_not_loaded", "version_mismatch", "unknown", "library_not_found"])
def test_without_nvml_nothing_is_judged(ticker: TickHarness, problem: str) -> None:
    due(ticker)
    before = picture(ticker.harness)
    ticker.harness.inventory = NoGpus(problem)
    assert not ticker.run_tick().succeeded
    assert picture(ticker.harness) == before


def test_on_a_server_without_gpus_everything_is_judged(ticker: TickHarness) -> None:
    due(ticker, gpus=0)
    ticker.harness.inventory = NoGpus("library_not_found")
    assert actions_of(ticker.tick()) == [("thesis", "stop"), ("thesis", "stop")]


def test_instance_of_a_silent_gpu_is_not_reported_gone(ticker: TickHarness) -> None:
    ticker.start_container()
    seen = ticker.harness.inventory.observe()
    gpus = (seen.gpus[0], replace(seen.gpus[1], unhealthy="the GPU is lost"))
    slots = tuple(slot for slot in seen.slots if slot.gpu == 0)
    ticker.harness.inventory = SimulatedInventory(replace(seen, gpus=gpus, slots=slots))
    assert [item.why for item in ticker.tick(minutes=5).unknown] == ["GPU 1:0 does not answer"]


def test_vanished_mig_instance_is_reported_not_released(ticker: TickHarness) -> None:
    harness = ticker.harness
    ticker.start_container()
    seen = harness.inventory.observe()
    harness.inventory = SimulatedInventory(
        replace(seen, slots=tuple(slot for slot in seen.slots if slot.slot != "1:0"))
    )
    report = ticker.tick(minutes=5)
    assert [(item.action, item.why) for item in report.unknown] == [("gpu", "GPU 1:0 is gone")]
    assert list(harness.leased().values()) == [ALICE_THESIS]


# one container's failure is its own


@pytest.mark.parametrize("error", [EngineRejected("no"), ValueError("nobody foresaw it")], ids=["ours", "a bug"])
def test_failed_stop_is_retried_and_affects_no_other(
    ticker: TickHarness, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    due(ticker)
    stop = stopping.stop

    def failing(context: Any, actor: Any, record: Any, **more: Any) -> Any:
        if record.user == "alice":
            raise error
        return stop(context, actor, record, **more)

    monkeypatch.setattr(stopping, "stop", failing)
    report = ticker.run_tick()
    assert [(item.container, item.action) for item in report.errors] == [(ALICE_THESIS, "stop")]
    assert (ticker.state("alice"), ticker.state("bob")) == ("running", "held")
    monkeypatch.undo()
    assert actions_of(ticker.tick(minutes=5)) == [("thesis", "stop")]
    assert ticker.state("alice") == "held"


def test_a_judgement_that_fails_is_its_own(ticker: TickHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    due(ticker)
    observe_activity = sampler_module.observe_activity

    def failing(context: Any, record: Any, gpus: Any) -> Any:
        if record.user == "alice":
            raise RuntimeError("a bug")
        return observe_activity(context, record, gpus)

    monkeypatch.setattr(sampler_module, "observe_activity", failing)
    report = ticker.run_tick()
    assert [(item.container, item.why) for item in report.errors] == [(ALICE_THESIS, "RuntimeError: a bug")]
    assert ticker.state("bob") == "held"


def test_a_reconcile_that_fails_is_its_own(ticker: TickHarness) -> None:
    due(ticker)
    engine = ticker.harness.engine
    for name in (ALICE_THESIS, BOB_THESIS):
        engine.kill(name)

    class Failing(FaultyEngine):
        def inspect(self, reference: str, **more: Any) -> Any:
            if reference == ticker.harness.record("alice").docker_id:
                raise EngineRejected("Docker stumbles over this one")
            return engine.inspect(reference, **more)

    report = ticker.make_tick(engine=Failing(engine, StepCounter(-1, lambda: None), ())).run()
    assert (ALICE_THESIS, "reconcile") in [(item.container, item.action) for item in report.errors]
    assert ticker.state("bob") == "held"
    ticker.tick(minutes=5)
    assert ticker.state("alice") == "held"


def test_engine_failure_during_a_tick_leaves_a_legal_state(ticker: TickHarness) -> None:
    harness = ticker.harness
    for at in range(30):
        due(ticker)
        steps = StepCounter(at, make_raiser(EngineUnreachable("Docker is not running")))
        ticker.make_tick(engine=FaultyEngine(harness.engine, steps)).run()
        invariants.check(harness)
        ticker.tick_until(lambda: ticker.state("alice") == ticker.state("bob") == "held", every=timedelta(minutes=5))
        invariants.check_settled(harness)
        for name in (ALICE_THESIS, BOB_THESIS):
            harness.gate.remove(harness.actor("root"), name)
        if steps.count <= at:
            return
    pytest.fail("it never came to its end")


# notices that do not arrive


def test_without_a_delivered_warning_nothing_follows(ticker: TickHarness) -> None:
    ticker.start_container()
    box = ticker.harness.state / "notices"
    box.write_text("no folder")
    for _ in range(3):
        report = ticker.run_tick(hours=20)
        assert [(item.action, item.why) for item in report.errors] == [("warn", "the notice could not be delivered")]
    assert ticker.state() == "running"
    box.unlink()
    assert warnings_of(ticker.tick(minutes=5)) == [("thesis", "idle")]
    assert actions_of(ticker.tick(minutes=5)) == [("thesis", "stop")]


# a full disk


def test_full_disk_ends_nothing_without_a_stored_warning(ticker: TickHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    ticker.start_container()

    def full(*args: Any, **more: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files, "replace", full)
        for _ in range(3):
            assert not ticker.run_tick(hours=20).succeeded
    assert ticker.state() == "running"
    invariants.check_settled(ticker.harness)
    assert warnings_of(ticker.tick(minutes=5)) == [("thesis", "idle")]
    assert actions_of(ticker.tick(minutes=5)) == [("thesis", "stop")]


# clocks


@pytest.mark.parametrize("hours", [1, -1])
def test_clock_jump_stops_nothing_without_an_earlier_warning(ticker: TickHarness, hours: int) -> None:
    ticker.start_container()
    ticker.tick(hours=7, minutes=55)
    ticker.run_tick(hours=hours)
    ticker.run_tick(minutes=5)
    assert ticker.state() == "running"
    ends = ticker.tick_until(lambda: ticker.state() == "held", every=timedelta(minutes=5), longest=200)
    assert len([notice for notice in ticker.take_notices() if notice.kind == "idle"]) >= 1
    assert ends >= ticker.harness.record("alice").history[-2].at + timedelta(hours=9)
    invariants.check_settled(ticker.harness)


def test_clock_jump_past_the_deadline_warns_first(ticker: TickHarness) -> None:
    ticker.start_container()
    ticker.tick(hours=7)
    report = ticker.tick(hours=1000)
    assert (warnings_of(report), actions_of(report)) == ([("thesis", "idle")], [])


def test_one_tick_years_ahead_keeps_nothing_alive(ticker: TickHarness) -> None:
    ticker.start_container()
    ticker.set_cpu_time(10**9)
    before = picture(ticker.harness)
    assert not ticker.tick(days=4000).complete
    assert picture(ticker.harness) == before
    ticker.tick(days=-4000, minutes=5)
    assert ticker.harness.record("alice").activity["state"] == "active"
    ticker.tick_until(lambda: ticker.state() == "held", every=timedelta(hours=1), longest=15)


# commands at the same time


def test_a_tick_during_a_stop_leaves_the_container_to_it(ticker: TickHarness) -> None:
    """A stop takes minutes; what it writes at its end must not meet a record that the tick has changed."""
    harness = ticker.harness
    ticker.start_container()
    harness.engine.spawn(ALICE_THESIS, "python train.py", stubborn=True)
    reports = []

    def meanwhile(seconds: float) -> None:
        if not reports:
            reports.append(ticker.run_tick(hours=30))

    context = harness.make_context(sleep=meanwhile)
    alice = harness.actor("alice")
    Client(context).stop(alice, ALICE_THESIS, keep=True)
    assert [(item.action, item.why) for item in reports[0].unknown] == [("busy", "a command is working on it")]
    record = harness.record("alice")
    assert (record.state.value, record.keep, record.history[-1].actor) == ("held", True, "alice")


def test_record_changed_by_a_command_waits_for_the_next_tick(
    ticker: TickHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness = ticker.harness
    ticker.start_container()
    carry_out = Transaction.commit
    done = []

    def first_alice_extends(self: Any, record: Any, **more: Any) -> Any:
        written = carry_out(self, record, **more)
        if not done and record.activity.get("state") == "idle":
            done.append(True)
            return carry_out(self, replace(written, extended_until=harness.clock() + timedelta(hours=5)), **more)
        return written

    monkeypatch.setattr(Transaction, "commit", first_alice_extends)
    ticker.tick(hours=9)
    assert done


def test_what_became_busy_while_others_saved_is_not_stopped(
    ticker: TickHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stops take a minute each and eight go at once: the last decisions are old."""
    due(ticker)
    apply = tick_module.DecisionExecutor.apply

    def later(self: Any, decided: Any, report: Any) -> None:
        ticker.harness.clock.advance(minutes=10)
        ticker.set_cpu_time(300, login="alice")
        apply(self, decided, report)

    monkeypatch.setattr(tick_module.DecisionExecutor, "apply", later)
    assert actions_of(ticker.tick()) == [("thesis", "stop")]
    assert (ticker.state("alice"), ticker.state("bob")) == ("running", "held")


def test_a_keep_alive_that_came_while_others_saved_counts(ticker: TickHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    due(ticker)
    apply = tick_module.DecisionExecutor.apply

    def later(self: Any, decided: Any, report: Any) -> None:
        ticker.harness.clock.advance(minutes=10)
        (ticker.harness.home("alice") / "workspace" / "thesis" / ".keep-alive").touch()
        apply(self, decided, report)

    monkeypatch.setattr(tick_module.DecisionExecutor, "apply", later)
    ticker.tick()
    assert (ticker.state("alice"), ticker.state("bob")) == ("running", "held")


# side by side


def test_stops_run_side_by_side_each_with_its_grace(ticker: TickHarness) -> None:
    import threading

    harness = ticker.harness
    harness.set_policy("defaults: {max_containers_per_user: null, idle_timeout: 10h}\npolicies: {stop_grace: 3s}\n")
    names = [f"c{number}" for number in range(8)]
    for name in names:
        (harness.home("alice") / "workspace" / name).mkdir(exist_ok=True)
        harness.gate.create(
            harness.actor("alice"),
            harness.request("alice", name, 0, workspace=f"{harness.home('alice')}/workspace/thesis"),
        )
        harness.gate.start(harness.actor("alice"), harness.full("alice", name))
        harness.engine.spawn(harness.full("alice", name), "python train.py", stubborn=True)
    ticker.tick(seconds=1)
    ticker.tick(hours=9)
    harness.clock.advance(hours=2)
    together = threading.Barrier(8, timeout=20)  # all eight have to save at the same time
    slept: dict[int, int] = {}

    def saving(seconds: float) -> None:
        me = threading.get_ident()
        slept[me] = slept.get(me, 0) + 1
        if slept[me] == 1:
            together.wait()

    tick = ticker.make_tick()
    make = tick.make_context

    def another() -> Any:
        return dataclasses.replace(make(), sleep=saving)

    tick.make_context = another
    report = tick.run()
    assert report.succeeded, report
    assert len(actions_of(report)) == 8
    assert set(slept.values()) == {30}  # each its three seconds, polled ten times a second


# two ticks


def test_only_one_tick_runs_at_a_time(ticker: TickHarness) -> None:
    other = ticker.harness.open_ledger()
    with ticker.harness.ledger.tick_lock(), pytest.raises(Ds01Error, match="a tick runs"), other.tick_lock():
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become others")
def test_hanging_child_does_not_keep_the_tick_lock(harness: Harness) -> None:
    from ds01.system import as_user

    begin, begun = os.pipe()
    act: Callable[[], str] = lambda: (os.write(1, b""), __import__("time").sleep(3), "late")[-1]  # noqa: E731
    patience, as_user.TIMEOUT = as_user.TIMEOUT, 0.3
    kill, os.kill = os.kill, lambda *args: None  # as one that hangs in the kernel, which no signal ends
    try:
        with harness.ledger.tick_lock():
            assert as_user.run_as_uid(70001, 70001, act) is None
    finally:
        as_user.TIMEOUT, os.kill = patience, kill
        os.close(begin)
        os.close(begun)
    with harness.ledger.tick_lock():
        pass


def test_an_extension_that_came_while_others_saved_counts(ticker: TickHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    due(ticker)
    harness = ticker.harness
    apply = tick_module.DecisionExecutor.apply

    def later(self: Any, decided: Any, report: Any) -> None:
        harness.gate.extend(harness.actor("alice"), ALICE_THESIS, timedelta(hours=3))
        apply(self, decided, report)

    monkeypatch.setattr(tick_module.DecisionExecutor, "apply", later)
    assert actions_of(ticker.tick()) == [("thesis", "stop")]
    assert (ticker.state("alice"), ticker.state("bob")) == ("running", "held")


def test_uninspectable_container_is_skipped_alone(harness: Harness) -> None:
    harness.set_policy("defaults: {max_mig_instances: 2, gpu_hold_after_stop: 1h, max_runtime: 1h}\n")
    ticker = TickHarness(harness)
    ticker.start_container("alice")
    ticker.start_container("bob")
    harness.gate.stop(harness.actor("bob"), harness.full("bob"))
    before = harness.record("alice")
    harness.engine.set_status(ALICE_THESIS, ContainerStatus.DEAD)
    harness.engine.break_container(ALICE_THESIS)
    report = ticker.run_tick(hours=2)
    assert [(item.container, item.action) for item in report.errors] == [(ALICE_THESIS, "reconcile")]
    assert "RWLayer" in report.errors[0].why
    assert harness.record("alice") == before
    assert harness.record("bob").lease is None
