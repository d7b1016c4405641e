"""A container that is created again is never lost: whatever fails, is slow, or is changed by others meanwhile."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ds01.engines.protocol import BuildSpec, ContainerSpec, ContainerStatus, CreateResult
from ds01.errors import Ds01Error, EngineConflict, EngineRejected, EngineUnreachable, InvalidState
from ds01.lifecycle.reconciliation.reconcile import preview
from ds01.lifecycle.reconciliation.replacement import replacement_name
from ds01.records.state_machine import State
from tests import invariants
from tests.actions import ALICE_THESIS, create, recreate, remake, start, stop
from tests.fault_injection import FaultyEngine, StepCounter, count_commits_as_steps, kill_self, make_raiser, was_killed
from tests.harness import Harness

TWIN = replacement_name(ALICE_THESIS)
BUILT = "ds01-70001/thesis:latest"


class Odd:
    """An engine with one method replaced; the replacement gets the real method and its arguments."""

    def __init__(self, engine: Any, **other: Callable[..., Any]) -> None:
        self._engine = engine
        self._other = other

    def __getattr__(self, name: str) -> Any:
        true = getattr(self._engine, name)
        return (lambda *args, **more: self._other[name](true, *args, **more)) if name in self._other else true


def odd(harness: Harness, **other: Callable[..., Any]) -> Any:
    return harness.another_gate(engine=Odd(harness.engine, **other))  # type: ignore[arg-type]


def failing(harness: Harness, call: str, error: BaseException) -> Any:
    return harness.another_gate(engine=FaultyEngine(harness.engine, StepCounter(0, make_raiser(error)), (call,)))  # type: ignore[arg-type]


def kill_after(harness: Harness, call: str, act: Callable[..., Any] = recreate) -> None:
    child = os.fork()
    if child == 0:
        try:
            engine: Any = FaultyEngine(harness.engine, StepCounter(0, kill_self, after=True), (call,))
            act(harness.another_gate(engine=engine), harness)
        finally:
            os._exit(1)
    assert was_killed(child)


def reconcile(harness: Harness) -> list[str]:
    return [change.what for change in harness.another_gate().reconcile(harness.actor("root"))]


def names(harness: Harness) -> list[str]:
    return sorted(seen.name for seen in harness.engine.containers())


@pytest.mark.parametrize("error", [KeyboardInterrupt(), EngineUnreachable("Docker took too long")])
@pytest.mark.parametrize("act", [recreate, remake])
def test_a_removal_that_takes_its_time_ends_with_the_new_one(harness: Harness, act: Any, error: BaseException) -> None:
    create(harness.gate, harness)
    start(harness.gate, harness)
    if act is recreate:
        stop(harness.gate, harness)

    def slow(remove: Any, reference: str) -> None:
        if harness.engine.inspect(reference).status is ContainerStatus.REMOVING:  # type: ignore[union-attr]
            raise EngineConflict(f"removal of container {reference} is already in progress")
        harness.engine.set_status(reference, ContainerStatus.REMOVING)
        raise error

    with pytest.raises(type(error)):
        act(odd(harness, remove=slow), harness)
    harness.another_gate(engine=Odd(harness.engine, remove=slow)).reconcile(harness.actor("root"))  # type: ignore[arg-type]
    assert names(harness) == [ALICE_THESIS, TWIN]
    harness.engine.remove_by_force(ALICE_THESIS)  # Docker comes to its end
    assert reconcile(harness) == ["created again"]
    invariants.check_settled(harness)
    assert harness.record("alice").lease is not None


def test_container_that_docker_cannot_remove_blocks_nothing(harness: Harness) -> None:
    create(harness.gate, harness)

    def busy(remove: Any, reference: str) -> None:
        if harness.engine.inspect(reference).name != ALICE_THESIS:  # type: ignore[union-attr]
            remove(reference)
            return
        harness.engine.set_status(reference, ContainerStatus.DEAD)
        raise EngineRejected("driver failed to remove root filesystem: device or resource busy")

    gate = odd(harness, remove=busy)
    with pytest.raises(EngineRejected):
        recreate(gate, harness)
    gate.create(harness.actor("bob"), harness.request("bob"))
    assert TWIN in names(harness) and harness.record("alice").lease is not None
    assert reconcile(harness) == ["created again"]  # after a restart of Docker, say
    invariants.check_settled(harness)


@pytest.mark.parametrize("status", [ContainerStatus.REMOVING, ContainerStatus.DEAD])
def test_unremovable_replacement_blocks_nothing(harness: Harness, status: ContainerStatus) -> None:
    create(harness.gate, harness)
    kill_after(harness, "put_archive")
    harness.engine.set_status(TWIN, status)
    error = EngineConflict("already in progress") if status is ContainerStatus.REMOVING else EngineRejected("busy")

    def fails(remove: Any, reference: str) -> None:
        raise error

    gate = odd(harness, remove=fails)
    gate.create(harness.actor("bob"), harness.request("bob"))
    assert harness.record("alice").pending is None


@pytest.mark.parametrize("kind", [EngineRejected, EngineConflict])
def test_unremovable_leftover_blocks_nobody(harness: Harness, kind: type[Ds01Error]) -> None:
    kill_after(harness, "put_archive", create)
    failing(harness, "remove", kind("no")).create(harness.actor("bob"), harness.request("bob"))
    assert reconcile(harness) == ["vanish"]
    invariants.check_settled(harness)


def test_dry_run_previews_the_reconcile_of_a_killed_command(harness: Harness) -> None:
    kill_after(harness, "put_archive", create)
    before = (harness.records(), names(harness))
    assert [change.what for change in preview(harness.context, harness.context.observer.containers())] == ["vanish"]
    assert (harness.records(), names(harness)) == before
    assert reconcile(harness) == ["vanish"]
    create(harness.gate, harness)
    kill_after(harness, "remove")
    before = (harness.records(), names(harness))
    assert [change.what for change in preview(harness.context, harness.context.observer.containers())] == ["settled"]
    assert (harness.records(), names(harness)) == before
    assert reconcile(harness) == ["created again"]


def test_replacement_is_finished_for_a_deleted_owner(harness: Harness) -> None:
    create(harness.gate, harness)
    kill_after(harness, "remove")
    passwd = harness.state / "passwd"
    passwd.write_text("".join(line for line in passwd.read_text().splitlines(True) if not line.startswith("alice:")))
    harness.another_gate().create(harness.actor("bob"), harness.request("bob"))
    assert harness.record("alice").state is State.CREATED and names(harness).count(ALICE_THESIS) == 1


def test_replacement_lost_during_grace_leaves_the_old_one(harness: Harness) -> None:
    create(harness.gate, harness)
    start(harness.gate, harness)

    def and_prune(true_stop: Any, reference: str, **more: Any) -> None:
        harness.engine.remove(TWIN)
        true_stop(reference, **more)

    with pytest.raises(Ds01Error):
        remake(odd(harness, stop=and_prune), harness)
    invariants.check_settled(harness)
    assert (names(harness), harness.record("alice").state) == ([ALICE_THESIS], State.HELD)
    start(harness.gate, harness)


def test_replacement_is_kept_while_its_name_is_taken(harness: Harness) -> None:
    create(harness.gate, harness)

    def and_take_it(remove: Any, reference: str) -> None:
        remove(reference)
        if ALICE_THESIS not in names(harness):
            harness.engine.add_foreign(ALICE_THESIS, running=False)

    with pytest.raises(EngineConflict):
        recreate(odd(harness, remove=and_take_it), harness)
    harness.another_gate().create(harness.actor("bob"), harness.request("bob"))
    assert TWIN in names(harness) and harness.record("alice").lease is not None
    harness.engine.remove_by_force(ALICE_THESIS)
    assert reconcile(harness) == ["created again"]
    invariants.check_settled(harness)


def test_one_that_docker_makes_late_is_removed(harness: Harness) -> None:
    create(harness.gate, harness)
    kept: list[ContainerSpec] = []

    def late(true_create: Any, spec: ContainerSpec) -> CreateResult:
        kept.append(spec)
        raise EngineUnreachable("Docker took too long")

    with pytest.raises(EngineUnreachable):
        recreate(odd(harness, create=late), harness)
    harness.engine.tag(harness.record("alice").image, kept[0].image)
    harness.engine.create(kept[0])
    assert reconcile(harness) == ["leftover removed"]
    invariants.check_settled(harness)


def test_replacement_started_by_hand_is_kept_and_reported(harness: Harness) -> None:
    create(harness.gate, harness)
    kill_after(harness, "put_archive")
    harness.engine.start(TWIN)
    harness.engine.stop(TWIN, grace=0)
    reconcile(harness)
    with pytest.raises(InvalidState) as caught:
        recreate(harness.another_gate(), harness)
    assert f"docker rm {TWIN}" in (caught.value.hint or "")
    harness.engine.remove(TWIN)
    recreate(harness.another_gate(), harness)
    invariants.check_settled(harness)


def test_what_fails_once_all_is_done_spoils_nothing(harness: Harness) -> None:
    create(harness.gate, harness)
    start(harness.gate, harness)

    def hiccup(image: Any, reference: str) -> Any:
        if reference.startswith("sha256:"):
            raise EngineRejected("no")
        return image(reference)

    remake(odd(harness, image=hiccup), harness)
    assert harness.record("alice").state is State.RUNNING


def test_one_that_failed_has_its_lease_since_when_it_had_it(harness: Harness) -> None:
    for act in (create, start, stop):
        act(harness.gate, harness)
    before = harness.record("alice")
    harness.clock.advance(hours=3)
    with pytest.raises(EngineRejected):
        recreate(failing(harness, "create", EngineRejected("no")), harness)
    after = harness.record("alice")
    assert replace(after, rev=before.rev) == before


def test_a_record_that_was_rebuilt_leases_no_slot_twice(harness: Harness) -> None:
    create(harness.gate, harness)
    start(harness.gate, harness)
    harness.record_file("alice").write_text("{")
    reconcile(harness)

    def look(put: Any, *args: Any) -> None:
        slots = harness.record("alice").slots
        assert len(slots) == len(set(slots)) == 1
        put(*args)

    remake(odd(harness, put=look), harness)
    invariants.check_settled(harness)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_all_that_was_asked_for_outlives_a_kill_at_any_write(harness: Harness, after: bool) -> None:
    alice = harness.actor("alice")
    harness.gate.create(alice, harness.request("alice", environment={"WANDB": "x"}, framework="pytorch"))
    before = harness.record("alice").request
    for at in range(20):
        child = os.fork()
        if child == 0:
            try:
                count_commits_as_steps(StepCounter(at, kill_self, after=after), setattr)
                recreate(harness.another_gate(), harness)
            finally:
                os._exit(0)
        died = was_killed(child)
        reconcile(harness)
        invariants.check_settled(harness)
        assert harness.record("alice").request == before, at
        removed = [record.id for record in harness.ledger.removed()]
        assert len(removed) == len(set(removed))
        if not died:
            assert at > 3
            return
        if harness.record("alice").state is State.RUNNING:
            stop(harness.gate, harness)
    pytest.fail("it never came to its end")


@pytest.mark.parametrize("act", [create, recreate])
def test_clock_set_during_create_leaves_no_leftover(harness: Harness, act: Callable[..., Any]) -> None:
    if act is recreate:
        create(harness.gate, harness)

    def late(true: Callable[..., Any], spec: ContainerSpec) -> CreateResult:
        harness.clock.advance(hours=1)
        true(spec)
        os.kill(os.getpid(), 9)
        raise AssertionError

    child = os.fork()
    if child == 0:
        try:
            act(odd(harness, create=late), harness)
        finally:
            os._exit(1)
    assert was_killed(child)
    harness.clock.advance(hours=1)
    reconcile(harness)
    invariants.check_settled(harness)
    assert [seen.name for seen in harness.engine.containers()] == ([ALICE_THESIS] if act is recreate else [])


@pytest.fixture
def rebuilt_image(harness: Harness) -> tuple[str, str, str]:
    """Alice's container is of an image that was built again since: its id, the new one's, and the own tag."""
    first = build(harness, 1)
    harness.gate.create(harness.actor("alice"), harness.request("alice", image=BUILT))
    seen = harness.engine.inspect(ALICE_THESIS)
    assert seen is not None
    return first, build(harness, 2), seen.image


def build(harness: Harness, number: int) -> str:
    content = f"FROM pytorch/pytorch\nLABEL number={number}\n".encode()
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    list(harness.engine.build(BuildSpec(BUILT), [context.getvalue()]))
    return image_id(harness, BUILT) or ""


def image_id(harness: Harness, reference: str) -> str | None:
    image = harness.engine.image(reference)
    return image.id if image is not None else None


def test_the_old_image_goes_with_its_container(harness: Harness, rebuilt_image: tuple[str, str, str]) -> None:
    first, second, own = rebuilt_image
    remake(harness.gate, harness)
    assert (image_id(harness, first), image_id(harness, own)) == (None, second)


@pytest.mark.parametrize("call", ["put_archive", "remove"])
def test_a_failure_gives_the_old_one_its_tag_back(
    harness: Harness, rebuilt_image: tuple[str, str, str], call: str
) -> None:
    first, second, own = rebuilt_image
    if call == "put_archive":
        with pytest.raises(EngineRejected):
            remake(failing(harness, call, EngineRejected("no")), harness)
        assert (image_id(harness, own), image_id(harness, BUILT)) == (first, second)
        return
    kill_after(harness, call, remake)  # by then the new one takes its place
    reconcile(harness)
    assert (image_id(harness, first), image_id(harness, own)) == (None, second)
