"""Any failure at any call leaves a legal state, and the same command works when it is repeated."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ds01.engines.protocol import CreateResult, Devices, EngineContainer, Mount
from ds01.errors import (
    Ds01Error,
    EngineRejected,
    EngineUnreachable,
    InvalidState,
    NotFound,
    PermissionDenied,
)
from ds01.records.record import Record
from ds01.records.state_machine import State
from ds01.system import files
from tests import invariants
from tests.actions import create, recreate, remake, remove, start, stop, stop_and_release
from tests.client import Client
from tests.fault_injection import CHANGING_CALLS, READING_CALLS, FaultyEngine, StepCounter, make_raiser
from tests.harness import Harness

ALICE_THESIS = "thesis._.70001"
Act = Callable[[Client, Harness], Any]


ACTS: dict[str, tuple[tuple[Act, ...], Act]] = {
    "create": ((), create),
    "start": ((create,), start),
    "start of a stopped one": ((create, start, stop_and_release), start),
    "stop": ((create, start), stop),
    "release": ((create, start), stop_and_release),
    "remove": ((create, start), remove),
    "recreate": ((create, start, stop_and_release), recreate),
    "recreate of a held one": ((create, start, stop), recreate),
    "remake of a running one": ((create, start), remake),
    "remake of a held one": ((create, start, stop), remake),
}
# The error, whether it comes after the engine has carried out the call, and at which calls.
FAILURES: dict[str, tuple[BaseException, bool, tuple[str, ...]]] = {
    "unreachable": (EngineUnreachable("Docker is not running"), False, CHANGING_CALLS + READING_CALLS),
    "no answer": (EngineUnreachable("Docker took too long"), True, CHANGING_CALLS),
    "rejected": (EngineRejected("Docker refused"), False, CHANGING_CALLS),
    "interrupted": (KeyboardInterrupt(), True, CHANGING_CALLS),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("act", ACTS)
def test_failure_at_any_engine_call_leaves_a_legal_state(harness: Harness, act: str, failure: str) -> None:
    before, command = ACTS[act]
    error, after, calls = FAILURES[failure]
    alice = harness.actor("alice")
    for at in range(60):
        for earlier in before:
            earlier(harness.gate, harness)
        steps = StepCounter(at, make_raiser(error), after=after)
        gate = harness.another_gate(engine=FaultyEngine(harness.engine, steps, calls))
        failed = True
        try:
            command(gate, harness)
            failed = False
        except (Ds01Error, KeyboardInterrupt):
            pass
        invariants.check(harness)
        harness.another_gate().reconcile(harness.actor("root"))
        invariants.check_settled(harness)
        again = harness.another_gate()
        if failed and act == "create":
            again.create(alice, harness.request("alice"))
        elif failed:
            with_container = [record for record in harness.records() if record.container_name == ALICE_THESIS]
            if act.startswith(("recreate", "remake")):
                _check_it_still_is(with_container, act)
            if with_container and not (act.startswith("recreate") and with_container[0].state is State.RUNNING):
                command(again, harness)
        invariants.check_settled(harness)
        for record in harness.records():
            harness.gate.remove(alice, record.container_name, force=True)
        harness.open_ledger().delete_expired(
            removed_before=harness.clock() + timedelta(seconds=1)
        )  # or each round is slower
        assert harness.engine.containers() == []
        assert harness.leased() == {}
        if steps.count <= at:
            return
        harness.clock.advance(seconds=1)
    pytest.fail("it never came to its end")


def _check_it_still_is(found: list[Record], act: str) -> None:
    """A container that was to be created again exists, the old or the new one, with its GPU if it had one."""
    assert len(found) == 1
    if act != "recreate":
        assert found[0].lease is not None


def test_no_answer_at_the_undoing_leaves_it_to_the_next_command(harness: Harness) -> None:
    class Gone(type(harness.engine)):  # type: ignore[misc]
        def put_archive(self, reference: str, folder: str, archive: bytes) -> None:
            self.set_answering(False)
            super().put_archive(reference, folder, archive)

    gate = harness.another_gate(engine=Gone(harness.engine.store.path, clock=harness.clock))
    with pytest.raises(EngineUnreachable):
        create(gate, harness)
    assert harness.record("alice").pending is not None
    assert len(harness.leased()) == 1
    for ask in (lambda: harness.gate.containers(harness.actor("alice")), lambda: create(harness.gate, harness)):
        with pytest.raises(EngineUnreachable):
            ask()
    assert len(harness.leased()) == 1
    harness.engine.set_answering(True)
    assert harness.gate.containers(harness.actor("alice")) == ()
    assert harness.engine.containers() == []
    assert harness.leased() == {}


class Lying:
    """An engine whose inspect reports something else than requested."""

    def __init__(self, engine: Any, lie: Callable[[EngineContainer], EngineContainer]) -> None:
        self._engine = engine
        self._lie = lie

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def inspect(self, reference: str, *, size: bool = False) -> EngineContainer | None:
        seen = self._engine.inspect(reference, size=size)
        return self._lie(seen) if seen is not None else None


def spec(**changes: Any) -> Callable[[EngineContainer], EngineContainer]:
    return lambda seen: replace(seen, spec=replace(seen.spec, **changes))  # type: ignore[type-var]


@pytest.mark.parametrize(
    "lie",
    [
        lambda seen: replace(seen, devices=Devices(everything=True, form="device_request")),
        lambda seen: replace(seen, devices=Devices(("GPU-other",), form="device_request")),
        lambda seen: replace(seen, devices=None),
        lambda seen: replace(seen, privileged=True),
        lambda seen: replace(seen, spec=None),
        spec(uid=0),
        spec(gid=0),
        spec(mounts=(Mount("/", "/host"),)),
        spec(labels={}),
        spec(network="host"),
        spec(cgroup_parent="/"),
        spec(command=("sleep", "1")),
        spec(environment={"NVIDIA_VISIBLE_DEVICES": "all"}),
        spec(ports=()),
    ],
)
def test_create_is_undone_if_the_container_differs(
    harness: Harness, lie: Callable[[EngineContainer], EngineContainer]
) -> None:
    gate = harness.another_gate(engine=Lying(harness.engine, lie))  # type: ignore[arg-type]
    with pytest.raises(EngineRejected):
        create(gate, harness)
    harness.gate.reconcile(harness.actor("root"))
    assert harness.engine.containers() == []
    assert harness.leased() == {}
    assert harness.records() == []
    create(harness.gate, harness)


def test_a_limit_that_this_kernel_cannot_enforce_is_a_warning(harness: Harness) -> None:
    gate = harness.another_gate(engine=Lying(harness.engine, spec(memory_swap=None)))  # type: ignore[arg-type]
    made = create(gate, harness)
    assert made.container.state == "created"
    assert any("memory_swap" in warning for warning in made.warnings)


def test_the_engines_own_warnings_are_passed_on(harness: Harness) -> None:
    class Warning_(type(harness.engine)):  # type: ignore[misc]
        def create(self, spec: Any) -> CreateResult:
            return replace(super().create(spec), warnings=("no swap here",))

    assert create(
        harness.another_gate(engine=Warning_(harness.engine.store.path, clock=harness.clock)), harness
    ).warnings == ("no swap here",)


def test_an_image_without_a_shell_is_refused_and_undone(harness: Harness) -> None:
    with pytest.raises(PermissionDenied):
        harness.gate.create(harness.actor("alice"), harness.request("alice", image="tiny/noshell"))
    assert harness.engine.containers() == []
    assert harness.records() == []


@pytest.mark.parametrize("act", ACTS)
def test_a_full_disk_at_any_write_leaves_a_legal_state(
    harness: Harness, act: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, command = ACTS[act]
    write = files.replace
    for at in range(20):
        for earlier in before:
            earlier(harness.gate, harness)
        steps = StepCounter(at, make_raiser(OSError(errno.ENOSPC, "No space left on device")))
        full = lambda *args, steps=steps, **kwargs: steps.run_step("write", lambda: write(*args, **kwargs))  # noqa: E731
        monkeypatch.setattr(files, "replace", full)
        try:
            command(harness.another_gate(), harness)
            failed = False
        except Ds01Error:
            failed = True
        monkeypatch.setattr(files, "replace", write)
        invariants.check(harness)
        harness.another_gate().reconcile(harness.actor("root"))
        invariants.check_settled(harness)
        for record in harness.records():
            harness.gate.remove(harness.actor("alice"), record.container_name, force=True)
        assert harness.engine.containers() == []
        if steps.count <= at:
            assert not failed
            return
        harness.clock.advance(seconds=1)
    pytest.fail("it never came to its end")


def test_another_engine_than_last_time_changes_nothing(harness: Harness) -> None:
    from ds01.engines.simulated.engine import SimulatedEngine

    create(harness.gate, harness)
    start(harness.gate, harness)
    record = harness.record("alice")
    other = SimulatedEngine(harness.state / "other.json", clock=harness.clock)
    gate = harness.another_gate(engine=other)
    alice = harness.actor("alice")
    for ask in (
        lambda: gate.containers(alice),
        lambda: gate.reconcile(alice),
        lambda: stop(gate, harness),
        lambda: remove(gate, harness),
        lambda: gate.create(harness.actor("bob"), harness.request("bob")),
        lambda: gate.gpus(alice),
        lambda: gate.processes(alice, ALICE_THESIS),
    ):
        with pytest.raises(EngineUnreachable):
            ask()
    assert harness.record("alice") == record


def test_container_removed_during_a_wait_is_not_found(harness: Harness) -> None:
    create(harness.gate, harness)
    harness.engine.remove_by_force(ALICE_THESIS)
    for act in (start, stop, remove):
        with pytest.raises(NotFound):
            act(harness.gate, harness)
    assert harness.records() == []


def test_foreign_container_with_the_name_is_left_alone(harness: Harness) -> None:
    class Quicker(type(harness.engine)):  # type: ignore[misc]
        def create(self, spec: Any) -> CreateResult:
            self.add_foreign(ALICE_THESIS)
            return super().create(spec)

    with pytest.raises(InvalidState):
        create(harness.another_gate(engine=Quicker(harness.engine.store.path, clock=harness.clock)), harness)
    assert [seen.name for seen in harness.engine.containers()] == [ALICE_THESIS]
    assert harness.records() == []
    assert harness.leased() == {}
