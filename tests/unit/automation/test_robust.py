"""Whatever fails: nothing is judged that was not seen, nobody's failure is another's, and it is tried again."""

from __future__ import annotations

import dataclasses
import errno
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ds01.automation import looking as looking_module
from ds01.automation import tick as tick_module
from ds01.engines.protocol import ContainerStatus
from ds01.engines.simulated.engine import SimulatedEngine
from ds01.errors import Ds01Error, EngineRejected, EngineUnreachable, GpusUnreachable
from ds01.gpus.model import GpuObservation
from ds01.gpus.simulated import SimulatedInventory
from ds01.lifecycle import stop as stopping
from ds01.records.ledger import Transaction
from ds01.system import files
from tests import legal
from tests.bed import Bed
from tests.client import Client
from tests.faults import FaultyEngine, Steps, raising
from tests.ticking import Ticking, acted, warned

ALICE, BOB = "thesis._.70001", "thesis._.70002"


def due(ticking: Ticking, *, gpus: int | None = None) -> None:
    """Alice's and bob's containers are idle, were warned, and are due at the next tick."""
    ticking.runs("alice", gpus=gpus)
    ticking.runs("bob", gpus=gpus)
    ticking.tick(hours=9)
    ticking.bed.clock.advance(hours=2)


def picture(bed: Bed) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in (bed.state / "container-metadata").rglob("*.json")}


class NoGpus:
    """NVML that cannot be asked."""

    def __init__(self, problem: str) -> None:
        self.problem = problem

    def observe(self, *, utilisation: bool = False) -> GpuObservation:
        raise GpusUnreachable("The GPUs cannot be asked.", data={"problem": self.problem})


# nothing was observed, so nothing is judged


def test_without_docker_nothing_is_judged(ticking: Ticking) -> None:
    due(ticking)
    before = picture(ticking.bed)
    ticking.bed.engine.set_answering(False)
    report = ticking.any_tick()
    assert not report.good
    assert [(item.action, item.why) for item in report.errors] == [
        ("judge", "Docker is not running: the simulated engine was told not to answer")
    ]
    assert picture(ticking.bed) == before
    ticking.bed.engine.set_answering(True)
    assert acted(ticking.tick(minutes=5)) == [("thesis", "stop"), ("thesis", "stop")]


def test_another_docker_is_not_believed(ticking: Ticking) -> None:
    due(ticking)
    before = picture(ticking.bed)
    other = SimulatedEngine(ticking.bed.state / "other.json", clock=ticking.bed.clock)
    report = ticking.make(engine=other).run()
    assert [item.why.partition(":")[0] for item in report.errors] == ["this is another Docker than last time"]
    assert picture(ticking.bed) == before


@pytest.mark.parametrize("problem", ["driver_not_loaded", "version_mismatch", "unknown", "library_not_found"])
def test_without_nvml_nothing_is_judged(ticking: Ticking, problem: str) -> None:
    due(ticking)
    before = picture(ticking.bed)
    ticking.bed.inventory = NoGpus(problem)
    assert not ticking.any_tick().good
    assert picture(ticking.bed) == before


def test_on_a_server_without_gpus_everything_is_judged(ticking: Ticking) -> None:
    due(ticking, gpus=0)
    ticking.bed.inventory = NoGpus("library_not_found")
    assert acted(ticking.tick()) == [("thesis", "stop"), ("thesis", "stop")]


def test_an_instance_whose_gpu_does_not_answer_is_not_called_gone(ticking: Ticking) -> None:
    ticking.runs()
    seen = ticking.bed.inventory.observe()
    gpus = (seen.gpus[0], replace(seen.gpus[1], unhealthy="the GPU is lost"))
    slots = tuple(slot for slot in seen.slots if slot.gpu == 0)
    ticking.bed.inventory = SimulatedInventory(replace(seen, gpus=gpus, slots=slots))
    assert [item.why for item in ticking.tick(minutes=5).unknown] == ["GPU 1:0 does not answer"]


def test_a_mig_instance_that_disappeared_is_said_and_nothing_is_released(ticking: Ticking) -> None:
    bed = ticking.bed
    ticking.runs()
    seen = bed.inventory.observe()
    bed.inventory = SimulatedInventory(replace(seen, slots=tuple(slot for slot in seen.slots if slot.slot != "1:0")))
    report = ticking.tick(minutes=5)
    assert [(item.action, item.why) for item in report.unknown] == [("gpu", "GPU 1:0 is not there any more")]
    assert list(bed.leased().values()) == [ALICE]


# one container's failure is its own


@pytest.mark.parametrize("error", [EngineRejected("no"), ValueError("nobody foresaw it")], ids=["ours", "a bug"])
def test_a_stop_that_fails_stops_nobody_elses_and_is_tried_again(
    ticking: Ticking, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    due(ticking)
    stop = stopping.stop

    def failing(context: Any, actor: Any, record: Any, **more: Any) -> Any:
        if record.user == "alice":
            raise error
        return stop(context, actor, record, **more)

    monkeypatch.setattr(stopping, "stop", failing)
    report = ticking.any_tick()
    assert [(item.container, item.action) for item in report.errors] == [(ALICE, "stop")]
    assert (ticking.state("alice"), ticking.state("bob")) == ("running", "held")
    monkeypatch.undo()
    assert acted(ticking.tick(minutes=5)) == [("thesis", "stop")]
    assert ticking.state("alice") == "held"


def test_a_judgement_that_fails_is_its_own(ticking: Ticking, monkeypatch: pytest.MonkeyPatch) -> None:
    due(ticking)
    look = looking_module.look

    def failing(context: Any, record: Any, gpus: Any) -> Any:
        if record.user == "alice":
            raise RuntimeError("a bug")
        return look(context, record, gpus)

    monkeypatch.setattr(looking_module, "look", failing)
    report = ticking.any_tick()
    assert [(item.container, item.why) for item in report.errors] == [(ALICE, "RuntimeError: a bug")]
    assert ticking.state("bob") == "held"


def test_a_reconcile_that_fails_is_its_own(ticking: Ticking) -> None:
    due(ticking)
    engine = ticking.bed.engine
    for name in (ALICE, BOB):
        engine.kill(name)

    class Failing(FaultyEngine):
        def inspect(self, reference: str, **more: Any) -> Any:
            if reference == ticking.bed.record("alice").docker_id:
                raise EngineRejected("Docker stumbles over this one")
            return engine.inspect(reference, **more)

    report = ticking.make(engine=Failing(engine, Steps(-1, lambda: None), ())).run()
    assert (ALICE, "reconcile") in [(item.container, item.action) for item in report.errors]
    assert ticking.state("bob") == "held"
    ticking.tick(minutes=5)
    assert ticking.state("alice") == "held"


def test_an_engine_that_stops_answering_in_the_middle_leaves_a_legal_state(ticking: Ticking) -> None:
    bed = ticking.bed
    for at in range(30):
        due(ticking)
        steps = Steps(at, raising(EngineUnreachable("Docker is not running")))
        ticking.make(engine=FaultyEngine(bed.engine, steps)).run()
        legal.check(bed)
        ticking.until(lambda: ticking.state("alice") == ticking.state("bob") == "held", every=timedelta(minutes=5))
        legal.check_settled(bed)
        for name in (ALICE, BOB):
            bed.gate.remove(bed.actor("root"), name)
        if steps.count <= at:
            return
    pytest.fail("it never came to its end")


# notices that do not arrive


def test_without_a_delivered_warning_nothing_follows(ticking: Ticking) -> None:
    ticking.runs()
    box = ticking.bed.state / "notices"
    box.write_text("no folder")
    for _ in range(3):
        report = ticking.any_tick(hours=20)
        assert [(item.action, item.why) for item in report.errors] == [("warn", "the notice could not be delivered")]
    assert ticking.state() == "running"
    box.unlink()
    assert warned(ticking.tick(minutes=5)) == [("thesis", "idle")]
    assert acted(ticking.tick(minutes=5)) == [("thesis", "stop")]


# a full disk


def test_on_a_full_disk_nothing_ends_without_a_warning_that_was_written_down(
    ticking: Ticking, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticking.runs()

    def full(*args: Any, **more: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files, "replace", full)
        for _ in range(3):
            assert not ticking.any_tick(hours=20).good
    assert ticking.state() == "running"
    legal.check_settled(ticking.bed)
    assert warned(ticking.tick(minutes=5)) == [("thesis", "idle")]
    assert acted(ticking.tick(minutes=5)) == [("thesis", "stop")]


# clocks


@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_that_jumps_stops_nothing_without_a_warning_a_tick_before(ticking: Ticking, hours: int) -> None:
    ticking.runs()
    ticking.tick(hours=7, minutes=55)
    ticking.any_tick(hours=hours)
    ticking.any_tick(minutes=5)
    assert ticking.state() == "running"
    ends = ticking.until(lambda: ticking.state() == "held", every=timedelta(minutes=5), longest=200)
    assert len([notice for notice in ticking.post() if notice.kind == "idle"]) >= 1
    assert ends >= ticking.bed.record("alice").history[-2].at + timedelta(hours=9)
    legal.check_settled(ticking.bed)


def test_a_clock_that_jumps_forth_beyond_the_deadline_warns_first(ticking: Ticking) -> None:
    ticking.runs()
    ticking.tick(hours=7)
    report = ticking.tick(hours=1000)
    assert (warned(report), acted(report)) == ([("thesis", "idle")], [])


def test_a_clock_that_was_years_ahead_for_one_tick_keeps_nothing_alive(ticking: Ticking) -> None:
    ticking.runs()
    ticking.works(10**9)
    before = picture(ticking.bed)
    assert not ticking.tick(days=4000).complete
    assert picture(ticking.bed) == before
    ticking.tick(days=-4000, minutes=5)
    assert ticking.bed.record("alice").activity["state"] == "active"
    ticking.until(lambda: ticking.state() == "held", every=timedelta(hours=1), longest=15)


# commands at the same time


def test_a_tick_during_a_stop_leaves_the_container_to_it(ticking: Ticking) -> None:
    """A stop takes minutes; what it writes at its end must not meet a record that the tick has changed."""
    bed = ticking.bed
    ticking.runs()
    bed.engine.spawn(ALICE, "python train.py", stubborn=True)
    reports = []

    def meanwhile(seconds: float) -> None:
        if not reports:
            reports.append(ticking.any_tick(hours=30))

    context = bed.make_context(sleep=meanwhile)
    alice = bed.actor("alice")
    Client(context).stop(alice, ALICE, keep=True)
    assert [(item.action, item.why) for item in reports[0].unknown] == [("busy", "a command is at work on it")]
    record = bed.record("alice")
    assert (record.state.value, record.keep, record.history[-1].actor) == ("held", True, "alice")


def test_what_a_command_changed_since_it_was_read_is_left_for_the_next_tick(
    ticking: Ticking, monkeypatch: pytest.MonkeyPatch
) -> None:
    bed = ticking.bed
    ticking.runs()
    carry_out = Transaction.commit
    done = []

    def first_alice_extends(self: Any, record: Any, **more: Any) -> Any:
        written = carry_out(self, record, **more)
        if not done and record.activity.get("state") == "idle":
            done.append(True)
            return carry_out(self, replace(written, extended_until=bed.clock() + timedelta(hours=5)), **more)
        return written

    monkeypatch.setattr(Transaction, "commit", first_alice_extends)
    ticking.tick(hours=9)
    assert done


def test_what_became_busy_while_others_saved_is_not_stopped(ticking: Ticking, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stops take a minute each and eight go at once: the last decisions are old."""
    due(ticking)
    apply = tick_module.Acting.apply

    def later(self: Any, decided: Any, report: Any) -> None:
        ticking.bed.clock.advance(minutes=10)
        ticking.works(300, login="alice")
        apply(self, decided, report)

    monkeypatch.setattr(tick_module.Acting, "apply", later)
    assert acted(ticking.tick()) == [("thesis", "stop")]
    assert (ticking.state("alice"), ticking.state("bob")) == ("running", "held")


def test_a_keep_alive_that_came_while_others_saved_counts(ticking: Ticking, monkeypatch: pytest.MonkeyPatch) -> None:
    due(ticking)
    apply = tick_module.Acting.apply

    def later(self: Any, decided: Any, report: Any) -> None:
        ticking.bed.clock.advance(minutes=10)
        (ticking.bed.home("alice") / "workspace" / "thesis" / ".keep-alive").touch()
        apply(self, decided, report)

    monkeypatch.setattr(tick_module.Acting, "apply", later)
    ticking.tick()
    assert (ticking.state("alice"), ticking.state("bob")) == ("running", "held")


# side by side


def test_stops_run_side_by_side_each_with_its_grace(ticking: Ticking) -> None:
    import threading

    bed = ticking.bed
    bed.set_policy("defaults: {max_containers_per_user: null, idle_timeout: 10h}\npolicies: {stop_grace: 3s}\n")
    names = [f"c{number}" for number in range(8)]
    for name in names:
        (bed.home("alice") / "workspace" / name).mkdir(exist_ok=True)
        bed.gate.create(
            bed.actor("alice"), bed.request("alice", name, 0, workspace=f"{bed.home('alice')}/workspace/thesis")
        )
        bed.gate.start(bed.actor("alice"), bed.full("alice", name))
        bed.engine.spawn(bed.full("alice", name), "python train.py", stubborn=True)
    ticking.tick(seconds=1)
    ticking.tick(hours=9)
    bed.clock.advance(hours=2)
    together = threading.Barrier(8, timeout=20)  # all eight have to save at the same time
    slept: dict[int, int] = {}

    def saving(seconds: float) -> None:
        me = threading.get_ident()
        slept[me] = slept.get(me, 0) + 1
        if slept[me] == 1:
            together.wait()

    tick = ticking.make()
    make = tick.make_context

    def another() -> Any:
        return dataclasses.replace(make(), sleep=saving)

    tick.make_context = another
    report = tick.run()
    assert report.good, report
    assert len(acted(report)) == 8
    assert set(slept.values()) == {30}  # each its three seconds, looked at ten times a second


# two ticks


def test_only_one_tick_runs_at_a_time(ticking: Ticking) -> None:
    other = ticking.bed.open_ledger()
    with ticking.bed.ledger.tick_lock(), pytest.raises(Ds01Error, match="a tick runs"), other.tick_lock():
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become others")
def test_a_child_that_hangs_in_a_home_does_not_keep_the_ticks_lock(bed: Bed) -> None:
    from ds01.system import as_user

    begin, begun = os.pipe()
    act: Callable[[], str] = lambda: (os.write(1, b""), __import__("time").sleep(3), "late")[-1]  # noqa: E731
    patience, as_user.TIMEOUT = as_user.TIMEOUT, 0.3
    kill, os.kill = os.kill, lambda *args: None  # as one that hangs in the kernel, which no signal ends
    try:
        with bed.ledger.tick_lock():
            assert as_user.run_as_uid(70001, 70001, act) is None
    finally:
        as_user.TIMEOUT, os.kill = patience, kill
        os.close(begin)
        os.close(begun)
    with bed.ledger.tick_lock():
        pass


def test_an_extension_that_came_while_others_saved_counts(ticking: Ticking, monkeypatch: pytest.MonkeyPatch) -> None:
    due(ticking)
    bed = ticking.bed
    apply = tick_module.Acting.apply

    def later(self: Any, decided: Any, report: Any) -> None:
        bed.gate.extend(bed.actor("alice"), ALICE, timedelta(hours=3))
        apply(self, decided, report)

    monkeypatch.setattr(tick_module.Acting, "apply", later)
    assert acted(ticking.tick()) == [("thesis", "stop")]
    assert (ticking.state("alice"), ticking.state("bob")) == ("running", "held")


def test_one_that_cannot_be_inspected_is_not_judged_and_the_others_are(bed: Bed) -> None:
    bed.set_policy("defaults: {max_mig_instances: 2, gpu_hold_after_stop: 1h, max_runtime: 1h}\n")
    ticking = Ticking(bed)
    ticking.runs("alice")
    ticking.runs("bob")
    bed.gate.stop(bed.actor("bob"), bed.full("bob"))
    before = bed.record("alice")
    bed.engine.set_status(ALICE, ContainerStatus.DEAD)
    bed.engine.break_container(ALICE)
    report = ticking.any_tick(hours=2)
    assert [(item.container, item.action) for item in report.errors] == [(ALICE, "reconcile")]
    assert "RWLayer" in report.errors[0].why
    assert bed.record("alice") == before
    assert bed.record("bob").lease is None
