"""Whatever fails, and wherever, leaves a legal state; and the same command works when it is given again."""

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
from ds01.records.machine import State
from ds01.records.record import Record
from ds01.system import files
from tests import legal
from tests.acts import create, recreate, remake, remove, start, stop, stop_and_release
from tests.bed import Bed
from tests.client import Client
from tests.faults import CHANGES, QUESTIONS, FaultyEngine, Steps, raising

ALICE = "thesis._.70001"
Act = Callable[[Client, Bed], Any]


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
# The error, whether it comes after the engine has done what it was told, and at which calls.
FAILURES: dict[str, tuple[BaseException, bool, tuple[str, ...]]] = {
    "unreachable": (EngineUnreachable("Docker is not running"), False, CHANGES + QUESTIONS),
    "no answer": (EngineUnreachable("Docker took too long"), True, CHANGES),
    "rejected": (EngineRejected("Docker refused"), False, CHANGES),
    "interrupted": (KeyboardInterrupt(), True, CHANGES),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("act", ACTS)
def test_a_failure_at_any_call_of_the_engine_leaves_a_legal_state(bed: Bed, act: str, failure: str) -> None:
    before, command = ACTS[act]
    error, after, calls = FAILURES[failure]
    alice = bed.actor("alice")
    for at in range(60):
        for earlier in before:
            earlier(bed.gate, bed)
        steps = Steps(at, raising(error), after=after)
        gate = bed.another_gate(engine=FaultyEngine(bed.engine, steps, calls))
        failed = True
        try:
            command(gate, bed)
            failed = False
        except (Ds01Error, KeyboardInterrupt):
            pass
        legal.check(bed)
        bed.another_gate().reconcile(bed.actor("root"))
        legal.check_settled(bed)
        again = bed.another_gate()
        if failed and act == "create":
            again.create(alice, bed.request("alice"))
        elif failed:
            with_container = [record for record in bed.records() if record.container_name == ALICE]
            if act.startswith(("recreate", "remake")):
                _check_it_still_is(with_container, act)
            if with_container and not (act.startswith("recreate") and with_container[0].state is State.RUNNING):
                command(again, bed)
        legal.check_settled(bed)
        for record in bed.records():
            bed.gate.remove(alice, record.container_name, force=True)
        bed.open_ledger().clear_up(removed_before=bed.clock() + timedelta(seconds=1))  # or each round is slower
        assert bed.engine.containers() == []
        assert bed.leased() == {}
        if steps.count <= at:
            return
        bed.clock.advance(seconds=1)
    pytest.fail("it never came to its end")


def _check_it_still_is(found: list[Record], act: str) -> None:
    """One that was to be made anew is there, the old or the new one, with its GPU if it had one."""
    assert len(found) == 1
    if act != "recreate":
        assert found[0].lease is not None


def test_no_answer_at_the_undoing_leaves_it_to_the_next_command(bed: Bed) -> None:
    class Gone(type(bed.engine)):  # type: ignore[misc]
        def put_archive(self, reference: str, folder: str, archive: bytes) -> None:
            self.set_answering(False)
            super().put_archive(reference, folder, archive)

    gate = bed.another_gate(engine=Gone(bed.engine.store.path, clock=bed.clock))
    with pytest.raises(EngineUnreachable):
        create(gate, bed)
    assert bed.record("alice").pending is not None
    assert len(bed.leased()) == 1
    for ask in (lambda: bed.gate.containers(bed.actor("alice")), lambda: create(bed.gate, bed)):
        with pytest.raises(EngineUnreachable):
            ask()
    assert len(bed.leased()) == 1
    bed.engine.set_answering(True)
    assert bed.gate.containers(bed.actor("alice")) == ()
    assert bed.engine.containers() == []
    assert bed.leased() == {}


class Lying:
    """An engine whose inspect says something else than what was asked for."""

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
def test_what_is_not_as_asked_for_is_undone(bed: Bed, lie: Callable[[EngineContainer], EngineContainer]) -> None:
    gate = bed.another_gate(engine=Lying(bed.engine, lie))  # type: ignore[arg-type]
    with pytest.raises(EngineRejected):
        create(gate, bed)
    bed.gate.reconcile(bed.actor("root"))
    assert bed.engine.containers() == []
    assert bed.leased() == {}
    assert bed.records() == []
    create(bed.gate, bed)


def test_a_limit_that_this_kernel_cannot_enforce_is_a_warning(bed: Bed) -> None:
    gate = bed.another_gate(engine=Lying(bed.engine, spec(memory_swap=None)))  # type: ignore[arg-type]
    made = create(gate, bed)
    assert made.container.state == "created"
    assert any("memory_swap" in warning for warning in made.warnings)


def test_the_engines_own_warnings_are_passed_on(bed: Bed) -> None:
    class Warning_(type(bed.engine)):  # type: ignore[misc]
        def create(self, spec: Any) -> CreateResult:
            return replace(super().create(spec), warnings=("no swap here",))

    assert create(bed.another_gate(engine=Warning_(bed.engine.store.path, clock=bed.clock)), bed).warnings == (
        "no swap here",
    )


def test_an_image_without_a_shell_is_refused_and_undone(bed: Bed) -> None:
    with pytest.raises(PermissionDenied):
        bed.gate.create(bed.actor("alice"), bed.request("alice", image="tiny/noshell"))
    assert bed.engine.containers() == []
    assert bed.records() == []


@pytest.mark.parametrize("act", ACTS)
def test_a_full_disk_at_any_write_leaves_a_legal_state(bed: Bed, act: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before, command = ACTS[act]
    write = files.replace
    for at in range(20):
        for earlier in before:
            earlier(bed.gate, bed)
        steps = Steps(at, raising(OSError(errno.ENOSPC, "No space left on device")))
        full = lambda *args, steps=steps, **kwargs: steps.around("write", lambda: write(*args, **kwargs))  # noqa: E731
        monkeypatch.setattr(files, "replace", full)
        try:
            command(bed.another_gate(), bed)
            failed = False
        except Ds01Error:
            failed = True
        monkeypatch.setattr(files, "replace", write)
        legal.check(bed)
        bed.another_gate().reconcile(bed.actor("root"))
        legal.check_settled(bed)
        for record in bed.records():
            bed.gate.remove(bed.actor("alice"), record.container_name, force=True)
        assert bed.engine.containers() == []
        if steps.count <= at:
            assert not failed
            return
        bed.clock.advance(seconds=1)
    pytest.fail("it never came to its end")


def test_another_engine_than_last_time_changes_nothing(bed: Bed) -> None:
    from ds01.engines.simulated.engine import SimulatedEngine

    create(bed.gate, bed)
    start(bed.gate, bed)
    record = bed.record("alice")
    other = SimulatedEngine(bed.state / "other.json", clock=bed.clock)
    gate = bed.another_gate(engine=other)
    alice = bed.actor("alice")
    for ask in (
        lambda: gate.containers(alice),
        lambda: gate.reconcile(alice),
        lambda: stop(gate, bed),
        lambda: remove(gate, bed),
        lambda: gate.create(bed.actor("bob"), bed.request("bob")),
        lambda: gate.gpus(alice),
        lambda: gate.processes(alice, ALICE),
    ):
        with pytest.raises(EngineUnreachable):
            ask()
    assert bed.record("alice") == record


def test_a_container_that_goes_while_a_command_waits_for_it_is_absent(bed: Bed) -> None:
    create(bed.gate, bed)
    bed.engine.remove_by_force(ALICE)
    for act in (start, stop, remove):
        with pytest.raises(NotFound):
            act(bed.gate, bed)
    assert bed.records() == []


def test_a_foreign_container_that_takes_the_name_meanwhile_is_left_alone(bed: Bed) -> None:
    class Quicker(type(bed.engine)):  # type: ignore[misc]
        def create(self, spec: Any) -> CreateResult:
            self.add_foreign(ALICE)
            return super().create(spec)

    with pytest.raises(InvalidState):
        create(bed.another_gate(engine=Quicker(bed.engine.store.path, clock=bed.clock)), bed)
    assert [seen.name for seen in bed.engine.containers()] == [ALICE]
    assert bed.records() == []
    assert bed.leased() == {}
