"""A container that is made anew is lost to nothing: whatever fails, is slow, or is done by others meanwhile."""

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
from ds01.lifecycle.reconciliation.reconcile import foresee
from ds01.lifecycle.reconciliation.twin import twin_name
from ds01.records.machine import State
from tests import legal
from tests.acts import ALICE, create, recreate, remake, start, stop
from tests.bed import Bed
from tests.faults import FaultyEngine, Steps, die, raising, was_killed, watch_commits

TWIN = twin_name(ALICE)
BUILT = "ds01-70001/thesis:latest"


class Odd:
    """An engine one of whose methods is another: it gets the true one, and its arguments."""

    def __init__(self, engine: Any, **other: Callable[..., Any]) -> None:
        self._engine = engine
        self._other = other

    def __getattr__(self, name: str) -> Any:
        true = getattr(self._engine, name)
        return (lambda *args, **more: self._other[name](true, *args, **more)) if name in self._other else true


def odd(bed: Bed, **other: Callable[..., Any]) -> Any:
    return bed.another_gate(engine=Odd(bed.engine, **other))  # type: ignore[arg-type]


def failing(bed: Bed, call: str, error: BaseException) -> Any:
    return bed.another_gate(engine=FaultyEngine(bed.engine, Steps(0, raising(error)), (call,)))  # type: ignore[arg-type]


def kill_after(bed: Bed, call: str, act: Callable[..., Any] = recreate) -> None:
    child = os.fork()
    if child == 0:
        try:
            engine: Any = FaultyEngine(bed.engine, Steps(0, die, after=True), (call,))
            act(bed.another_gate(engine=engine), bed)
        finally:
            os._exit(1)
    assert was_killed(child)


def reconcile(bed: Bed) -> list[str]:
    return [change.what for change in bed.another_gate().reconcile(bed.actor("root"))]


def names(bed: Bed) -> list[str]:
    return sorted(seen.name for seen in bed.engine.containers())


@pytest.mark.parametrize("error", [KeyboardInterrupt(), EngineUnreachable("Docker took too long")])
@pytest.mark.parametrize("act", [recreate, remake])
def test_a_removal_that_takes_its_time_ends_with_the_new_one(bed: Bed, act: Any, error: BaseException) -> None:
    create(bed.gate, bed)
    start(bed.gate, bed)
    if act is recreate:
        stop(bed.gate, bed)

    def slow(remove: Any, reference: str) -> None:
        if bed.engine.inspect(reference).status is ContainerStatus.REMOVING:  # type: ignore[union-attr]
            raise EngineConflict(f"removal of container {reference} is already in progress")
        bed.engine.set_status(reference, ContainerStatus.REMOVING)
        raise error

    with pytest.raises(type(error)):
        act(odd(bed, remove=slow), bed)
    bed.another_gate(engine=Odd(bed.engine, remove=slow)).reconcile(bed.actor("root"))  # type: ignore[arg-type]
    assert names(bed) == [ALICE, TWIN]
    bed.engine.remove_by_force(ALICE)  # Docker comes to its end
    assert reconcile(bed) == ["made anew"]
    legal.check_settled(bed)
    assert bed.record("alice").lease is not None


def test_one_that_docker_cannot_remove_stands_in_nobodys_way(bed: Bed) -> None:
    create(bed.gate, bed)

    def busy(remove: Any, reference: str) -> None:
        if bed.engine.inspect(reference).name != ALICE:  # type: ignore[union-attr]
            remove(reference)
            return
        bed.engine.set_status(reference, ContainerStatus.DEAD)
        raise EngineRejected("driver failed to remove root filesystem: device or resource busy")

    gate = odd(bed, remove=busy)
    with pytest.raises(EngineRejected):
        recreate(gate, bed)
    gate.create(bed.actor("bob"), bed.request("bob"))
    assert TWIN in names(bed) and bed.record("alice").lease is not None
    assert reconcile(bed) == ["made anew"]  # after a restart of Docker, say
    legal.check_settled(bed)


@pytest.mark.parametrize("status", [ContainerStatus.REMOVING, ContainerStatus.DEAD])
def test_a_twin_that_cannot_be_removed_stands_in_nobodys_way(bed: Bed, status: ContainerStatus) -> None:
    create(bed.gate, bed)
    kill_after(bed, "put_archive")
    bed.engine.set_status(TWIN, status)
    error = EngineConflict("already in progress") if status is ContainerStatus.REMOVING else EngineRejected("busy")

    def fails(remove: Any, reference: str) -> None:
        raise error

    gate = odd(bed, remove=fails)
    gate.create(bed.actor("bob"), bed.request("bob"))
    assert bed.record("alice").pending is None


@pytest.mark.parametrize("kind", [EngineRejected, EngineConflict])
def test_a_half_made_container_that_cannot_be_removed_stands_in_nobodys_way(bed: Bed, kind: type[Ds01Error]) -> None:
    kill_after(bed, "put_archive", create)
    failing(bed, "remove", kind("no")).create(bed.actor("bob"), bed.request("bob"))
    assert reconcile(bed) == ["vanish"]
    legal.check_settled(bed)


def test_what_a_reconcile_would_do_with_what_was_killed_is_foreseen_and_nothing_done(bed: Bed) -> None:
    kill_after(bed, "put_archive", create)
    before = (bed.records(), names(bed))
    assert [change.what for change in foresee(bed.context, bed.context.observer.containers())] == ["vanish"]
    assert (bed.records(), names(bed)) == before
    assert reconcile(bed) == ["vanish"]
    create(bed.gate, bed)
    kill_after(bed, "remove")
    before = (bed.records(), names(bed))
    assert [change.what for change in foresee(bed.context, bed.context.observer.containers())] == ["settled"]
    assert (bed.records(), names(bed)) == before
    assert reconcile(bed) == ["made anew"]


def test_it_is_finished_also_for_an_owner_who_is_gone(bed: Bed) -> None:
    create(bed.gate, bed)
    kill_after(bed, "remove")
    passwd = bed.state / "passwd"
    passwd.write_text("".join(line for line in passwd.read_text().splitlines(True) if not line.startswith("alice:")))
    bed.another_gate().create(bed.actor("bob"), bed.request("bob"))
    assert bed.record("alice").state is State.CREATED and names(bed).count(ALICE) == 1


def test_a_twin_that_went_during_the_grace_leaves_the_old_one(bed: Bed) -> None:
    create(bed.gate, bed)
    start(bed.gate, bed)

    def and_prune(true_stop: Any, reference: str, **more: Any) -> None:
        bed.engine.remove(TWIN)
        true_stop(reference, **more)

    with pytest.raises(Ds01Error):
        remake(odd(bed, stop=and_prune), bed)
    legal.check_settled(bed)
    assert (names(bed), bed.record("alice").state) == ([ALICE], State.HELD)
    start(bed.gate, bed)


def test_while_somebody_has_its_name_the_twin_is_kept(bed: Bed) -> None:
    create(bed.gate, bed)

    def and_take_it(remove: Any, reference: str) -> None:
        remove(reference)
        if ALICE not in names(bed):
            bed.engine.add_foreign(ALICE, running=False)

    with pytest.raises(EngineConflict):
        recreate(odd(bed, remove=and_take_it), bed)
    bed.another_gate().create(bed.actor("bob"), bed.request("bob"))
    assert TWIN in names(bed) and bed.record("alice").lease is not None
    bed.engine.remove_by_force(ALICE)
    assert reconcile(bed) == ["made anew"]
    legal.check_settled(bed)


def test_one_that_docker_makes_late_is_removed(bed: Bed) -> None:
    create(bed.gate, bed)
    kept: list[ContainerSpec] = []

    def late(true_create: Any, spec: ContainerSpec) -> CreateResult:
        kept.append(spec)
        raise EngineUnreachable("Docker took too long")

    with pytest.raises(EngineUnreachable):
        recreate(odd(bed, create=late), bed)
    bed.engine.tag(bed.record("alice").image, kept[0].image)
    bed.engine.create(kept[0])
    assert reconcile(bed) == ["leftover removed"]
    legal.check_settled(bed)


def test_a_twin_that_was_started_by_hand_is_kept_and_said(bed: Bed) -> None:
    create(bed.gate, bed)
    kill_after(bed, "put_archive")
    bed.engine.start(TWIN)
    bed.engine.stop(TWIN, grace=0)
    reconcile(bed)
    with pytest.raises(InvalidState) as caught:
        recreate(bed.another_gate(), bed)
    assert f"docker rm {TWIN}" in (caught.value.hint or "")
    bed.engine.remove(TWIN)
    recreate(bed.another_gate(), bed)
    legal.check_settled(bed)


def test_what_fails_once_all_is_done_spoils_nothing(bed: Bed) -> None:
    create(bed.gate, bed)
    start(bed.gate, bed)

    def hiccup(image: Any, reference: str) -> Any:
        if reference.startswith("sha256:"):
            raise EngineRejected("no")
        return image(reference)

    remake(odd(bed, image=hiccup), bed)
    assert bed.record("alice").state is State.RUNNING


def test_one_that_failed_has_its_lease_since_when_it_had_it(bed: Bed) -> None:
    for act in (create, start, stop):
        act(bed.gate, bed)
    before = bed.record("alice")
    bed.clock.advance(hours=3)
    with pytest.raises(EngineRejected):
        recreate(failing(bed, "create", EngineRejected("no")), bed)
    after = bed.record("alice")
    assert replace(after, rev=before.rev) == before


def test_a_record_that_was_rebuilt_leases_no_slot_twice(bed: Bed) -> None:
    create(bed.gate, bed)
    start(bed.gate, bed)
    bed.record_file("alice").write_text("{")
    reconcile(bed)

    def look(put: Any, *args: Any) -> None:
        slots = bed.record("alice").slots
        assert len(slots) == len(set(slots)) == 1
        put(*args)

    remake(odd(bed, put=look), bed)
    legal.check_settled(bed)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_all_that_was_asked_for_outlives_a_kill_at_any_write(bed: Bed, after: bool) -> None:
    alice = bed.actor("alice")
    bed.gate.create(alice, bed.request("alice", environment={"WANDB": "x"}, framework="pytorch"))
    before = bed.record("alice").request
    for at in range(20):
        child = os.fork()
        if child == 0:
            try:
                watch_commits(Steps(at, die, after=after), setattr)
                recreate(bed.another_gate(), bed)
            finally:
                os._exit(0)
        died = was_killed(child)
        reconcile(bed)
        legal.check_settled(bed)
        assert bed.record("alice").request == before, at
        removed = [record.id for record in bed.ledger.removed()]
        assert len(removed) == len(set(removed))
        if not died:
            assert at > 3
            return
        if bed.record("alice").state is State.RUNNING:
            stop(bed.gate, bed)
    pytest.fail("it never came to its end")


@pytest.mark.parametrize("act", [create, recreate])
def test_a_clock_that_is_set_while_docker_creates_leaves_nothing_behind(bed: Bed, act: Callable[..., Any]) -> None:
    if act is recreate:
        create(bed.gate, bed)

    def late(true: Callable[..., Any], spec: ContainerSpec) -> CreateResult:
        bed.clock.advance(hours=1)
        true(spec)
        os.kill(os.getpid(), 9)
        raise AssertionError

    child = os.fork()
    if child == 0:
        try:
            act(odd(bed, create=late), bed)
        finally:
            os._exit(1)
    assert was_killed(child)
    bed.clock.advance(hours=1)
    reconcile(bed)
    legal.check_settled(bed)
    assert [seen.name for seen in bed.engine.containers()] == ([ALICE] if act is recreate else [])


@pytest.fixture
def rebuilt_image(bed: Bed) -> tuple[str, str, str]:
    """Alice's container is of an image that was built again since: its id, the new one's, and the own tag."""
    first = build(bed, 1)
    bed.gate.create(bed.actor("alice"), bed.request("alice", image=BUILT))
    seen = bed.engine.inspect(ALICE)
    assert seen is not None
    return first, build(bed, 2), seen.image


def build(bed: Bed, number: int) -> str:
    content = f"FROM pytorch/pytorch\nLABEL number={number}\n".encode()
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    list(bed.engine.build(BuildSpec(BUILT), [context.getvalue()]))
    return image_id(bed, BUILT) or ""


def image_id(bed: Bed, reference: str) -> str | None:
    image = bed.engine.image(reference)
    return image.id if image is not None else None


def test_the_old_image_goes_with_its_container(bed: Bed, rebuilt_image: tuple[str, str, str]) -> None:
    first, second, own = rebuilt_image
    remake(bed.gate, bed)
    assert (image_id(bed, first), image_id(bed, own)) == (None, second)


@pytest.mark.parametrize("call", ["put_archive", "remove"])
def test_a_failure_gives_the_old_one_its_tag_back(bed: Bed, rebuilt_image: tuple[str, str, str], call: str) -> None:
    first, second, own = rebuilt_image
    if call == "put_archive":
        with pytest.raises(EngineRejected):
            remake(failing(bed, call, EngineRejected("no")), bed)
        assert (image_id(bed, own), image_id(bed, BUILT)) == (first, second)
        return
    kill_after(bed, call, remake)  # by then the new one takes its place
    reconcile(bed)
    assert (image_id(bed, first), image_id(bed, own)) == (None, second)
