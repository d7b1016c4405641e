"""Whose a state directory is, what a file that cannot be read means, and what locks and timestamps do not prove."""

from __future__ import annotations

import dataclasses
import errno
import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ds01.engines.protocol import EngineInfo
from ds01.errors import Busy, Ds01Error, EngineUnreachable, NoCapacity
from ds01.gpus.model import GpuRequest
from ds01.records.line import Waiter
from ds01.system import files, locks
from ds01.system.users import Account, Users
from tests import coarse, legal
from tests.bed import Bed
from tests.client import Client

ALICE, BOB = "thesis._.70001", "thesis._.70002"


def aside(bed: Bed) -> list[str]:
    return [path.name for path in (bed.state / "container-metadata").glob("*.corrupt-*")]


def create(bed: Bed, *logins: str) -> None:
    for login in logins:
        bed.gate.create(bed.actor(login), bed.request(login))


# Timestamps.


def test_a_commit_in_the_same_second_and_inode_is_seen_under_the_lock(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two ledgers as of two processes; the second has read the record before the first changes it."""
    create(bed, "alice")
    same = os.stat_result((0o100664, 1, 1, 1, 0, 0, 10, 0, 0, 0), dict.fromkeys(("st_mtime_ns", "st_ctime_ns"), 0))
    monkeypatch.setattr(coarse, "_cut", lambda status: same)
    coarse.cut_stamps(monkeypatch, bed.state / "container-metadata")
    other = bed.open_ledger()
    other.read()
    record = bed.record("alice")
    with bed.ledger.transaction() as ledger:
        ledger.commit(dataclasses.replace(record, keep=True), now=bed.clock())
    with other.transaction() as ledger:
        seen = ledger.records[ALICE]
    assert getattr(seen, "keep", None) is True


def test_a_waiter_notices_every_commit_whatever_the_timestamps(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    create(bed, "alice")
    coarse.cut_stamps(monkeypatch, bed.state)
    before = bed.ledger.version()
    assert bed.open_ledger().version() == before
    with bed.open_ledger().transaction() as ledger:
        record = ledger.records[ALICE]
        ledger.commit(record, now=bed.clock())  # type: ignore[arg-type]
    assert bed.ledger.version() != before


def test_a_lock_file_that_was_emptied_means_that_anything_changed(bed: Bed) -> None:
    create(bed, "alice")
    other = bed.open_ledger()
    other.read()
    (bed.state / "locks" / "ledger.lock").write_bytes(b"")
    create(bed, "bob")
    with other.transaction() as ledger:
        assert set(ledger.records) == {ALICE, BOB}


# Locks.


def test_a_lock_file_that_was_replaced_lets_nobody_in_twice(fast_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody opens the lock file; before they lock it, it is deleted, and somebody else locks a new one."""
    path = fast_tmp / "x.lock"
    path.touch()
    others: list[int] = []
    opened = files.open_shared

    def open_and_be_overtaken(path: Path, flags: int, *, mode: int) -> int:
        descriptor = opened(path, flags, mode=mode)
        if not others:
            path.unlink()
            others.append(os.open(path, os.O_RDWR | os.O_CREAT))
            fcntl.flock(others[0], fcntl.LOCK_EX)
        return descriptor

    monkeypatch.setattr(files, "open_shared", open_and_be_overtaken)
    with pytest.raises(Busy), locks.hold(path, wait=0, mode=0o664):
        pytest.fail("two hold the lock")
    os.close(others[0])
    with locks.hold(path, wait=0, mode=0o664):
        assert not locks.is_free(path)


def test_a_waiter_whose_file_was_replaced_knows_that_it_waits_no_more(bed: Bed) -> None:
    waiter = Waiter("", "alice", 70001, 10, bed.clock(), ALICE, bed.request("alice"))
    line = bed.ledger.line()
    with line.join(waiter) as joined:
        path = bed.state / "queue" / f"{joined.id}.json"
        assert line.refresh(joined)
        copy = path.with_suffix(".copy")
        copy.write_bytes(path.read_bytes())
        copy.rename(path)
        assert not line.refresh(joined)
        assert line.waiters() == ()


def test_a_transaction_whose_lock_was_replaced_writes_nothing(bed: Bed) -> None:
    create(bed, "alice")
    record = bed.record("alice")
    with pytest.raises(Busy), bed.ledger.transaction() as ledger:
        (bed.state / "locks" / "ledger.lock").unlink()
        ledger.commit(record, now=bed.clock())
    assert bed.record("alice") == record


# Files that cannot be read.

ERRORS = [errno.EIO, errno.ESTALE, errno.ENFILE, errno.EMFILE, errno.ENOMEM, errno.ETIMEDOUT, errno.EREMOTEIO]


@pytest.fixture(params=ERRORS, ids=errno.errorcode.get)
def failing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Let a file fail to be read."""

    def fail(broken: Path) -> None:
        read = files.read

        def failing_read(path: Path) -> bytes:
            if path == broken:
                raise OSError(request.param, os.strerror(request.param), str(path))
            return read(path)

        monkeypatch.setattr(files, "read", failing_read)

    return fail


def test_a_lease_by_hand_that_cannot_be_read_now_stays_and_its_gpu_is_given_to_nobody(
    bed: Bed, failing: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    bed.gate.allocate(bed.actor("boss"), 70001, "hand", GpuRequest(2))
    failing(bed.record_file("alice", "hand"))
    with pytest.raises(Ds01Error) as caught:
        bed.another_gate().create(bed.actor("bob"), bed.request("bob", gpus=2))
    assert isinstance(caught.value, NoCapacity) or "cannot be read" in caught.value.message
    with pytest.raises(Ds01Error):
        bed.another_gate().create(bed.actor("carol"), bed.request("carol"))
        bed.another_gate().create(bed.actor("carol"), bed.request("carol", "other"))
    assert aside(bed) == []
    monkeypatch.undo()
    assert len(bed.leased()) == 2


def test_a_container_whose_record_cannot_be_read_now_keeps_it(
    bed: Bed, failing: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    create(bed, "alice")
    before = bed.record("alice")
    failing(bed.record_file("alice"))
    try:
        bed.another_gate().reconcile(bed.actor("root"))
    except Ds01Error as error:
        assert "cannot be read" in error.message
    with pytest.raises(Ds01Error, match="cannot be read"):
        bed.another_gate().stop(bed.actor("alice"), ALICE)
    assert aside(bed) == []
    monkeypatch.undo()
    assert bed.record("alice") == before
    legal.check_settled(bed)


def test_one_record_on_a_bad_sector_stops_nobody_else(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    create(bed, "alice", "bob")
    read = files.read

    def failing_read(path: Path) -> bytes:
        if path == bed.record_file("alice"):
            raise OSError(errno.EIO, "Input/output error", str(path))
        return read(path)

    monkeypatch.setattr(files, "read", failing_read)
    gate = bed.another_gate()
    assert [item.name for item in gate.containers(bed.actor("bob"))] == ["thesis"]
    assert gate.start(bed.actor("bob"), BOB).container.state == "running"
    # What alice's container has is known from its labels.
    assert gate.create(bed.actor("carol"), bed.request("carol")).container.gpus


# The installation's id.


@pytest.mark.parametrize("content", [b"", b"\n", b"nonsense\n", b"\x00" * 33, b"\xff\xfe"])
def test_an_installation_file_without_an_id_stops_everything_and_names_the_id(bed: Bed, content: bytes) -> None:
    create(bed, "alice", "bob")
    identity = bed.ledger.installation
    (bed.state / "installation").write_bytes(content)
    with pytest.raises(Ds01Error) as caught:
        bed.open_ledger()
    assert identity in (caught.value.hint or "")
    assert (bed.state / "installation").read_bytes() == content
    (bed.state / "installation").write_text(f"{identity}\n")
    assert len(bed.leased()) == 2
    assert aside(bed) == []


@pytest.mark.parametrize("left", ["records", "removed"])
def test_a_missing_installation_file_is_not_made_anew_beside_records(bed: Bed, left: str) -> None:
    create(bed, "alice")
    if left == "removed":
        bed.gate.remove(bed.actor("alice"), ALICE)
    (bed.state / "installation").unlink()
    with pytest.raises(Ds01Error) as caught:
        bed.open_ledger()
    assert bed.ledger.installation in (caught.value.hint or "")
    assert not (bed.state / "installation").exists()


def test_a_corrupt_installation_file_without_records_says_how_to_begin(fast_tmp: Path) -> None:
    bed = Bed(fast_tmp / "bed")
    (bed.state / "installation").write_text("")
    with pytest.raises(Ds01Error) as caught:
        bed.open_ledger()
    assert "removes" in (caught.value.hint or "")


def test_records_that_are_all_of_another_installation_are_left_alone(bed: Bed) -> None:
    create(bed, "alice", "bob")
    identity = bed.ledger.installation
    (bed.state / "installation").write_text("0" * 32)
    with pytest.raises(Ds01Error) as caught:
        bed.another_gate().create(bed.actor("carol"), bed.request("carol"))
    assert identity in (caught.value.hint or "")
    with pytest.raises(Ds01Error):
        bed.another_gate().reconcile(bed.actor("root"))
    assert aside(bed) == []
    (bed.state / "installation").write_text(identity)
    assert len(bed.leased()) == 2


# Another Docker.


class Rooted:
    """An engine whose data root is a directory."""

    def __init__(self, bed: Bed, root: Path | None) -> None:
        self._engine = bed.engine
        self.root = root

    def info(self) -> EngineInfo:
        return dataclasses.replace(self._engine.info(), root_dir=None if self.root is None else str(self.root))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


def roots(bed: Bed) -> tuple[Path, Path]:
    found = (bed.root / "docker", bed.root / "other")
    for folder in found:
        folder.mkdir()
    return found


def lose(bed: Bed) -> dict[str, Any]:
    """Let the engine have nothing any more; what it had."""
    with bed.engine.change() as state:
        kept = dict(state["containers"])
        state["containers"].clear()
    return kept


def bring_back(bed: Bed, kept: dict[str, Any]) -> None:
    with bed.engine.change() as state:
        state["containers"].update(kept)


ACTS: dict[str, Callable[[Client, Bed], Any]] = {
    "reconcile": lambda gate, bed: gate.reconcile(bed.actor("root")),
    "list": lambda gate, bed: gate.containers(bed.actor("alice")),
    "status": lambda gate, bed: gate.gpus(bed.actor("alice")),
    "start": lambda gate, bed: gate.start(bed.actor("alice"), ALICE),
    "sizes": lambda gate, bed: gate.sizes(bed.actor("alice"), (ALICE,)),
    "create": lambda gate, bed: gate.create(bed.actor("carol"), bed.request("carol")),
}


@pytest.mark.parametrize("act", ACTS)
def test_a_docker_with_another_data_root_and_none_of_the_containers_proves_nothing(bed: Bed, act: str) -> None:
    before, after = roots(bed)
    engine = Rooted(bed, before)
    bed.another_gate(engine=engine).create(bed.actor("alice"), bed.request("alice"))  # type: ignore[arg-type]
    record = bed.record("alice")
    engine.root = after
    kept = lose(bed)
    for _ in range(3):  # however often one looks
        with pytest.raises(EngineUnreachable):
            ACTS[act](bed.another_gate(engine=engine), bed)  # type: ignore[arg-type]
        bed.clock.advance(hours=1)
    assert bed.record("alice") == record
    engine.root = before
    bring_back(bed, kept)
    bed.another_gate(engine=engine).reconcile(bed.actor("root"))  # type: ignore[arg-type]
    legal.check_settled(bed)
    assert len(bed.leased()) == 1


def test_a_data_root_that_was_moved_with_its_containers_is_the_same_docker(bed: Bed) -> None:
    before, after = roots(bed)
    engine = Rooted(bed, before)
    gate = bed.another_gate(engine=engine)  # type: ignore[arg-type]
    gate.create(bed.actor("alice"), bed.request("alice"))
    engine.root = after
    assert len(bed.another_gate(engine=engine).containers(bed.actor("alice"))) == 1  # type: ignore[arg-type]
    bed.engine.remove_by_force(ALICE)  # and from now on it is its data root
    assert bed.another_gate(engine=engine).containers(bed.actor("alice")) == ()  # type: ignore[arg-type]


@pytest.mark.parametrize("act", ACTS)
def test_several_containers_that_are_all_gone_are_believed_at_a_second_look(bed: Bed, act: str) -> None:
    create(bed, "alice", "bob")
    lose(bed)
    for _ in range(2):
        with pytest.raises(EngineUnreachable):
            ACTS[act](bed.another_gate(), bed)
    assert len(bed.leased()) == 2
    bed.clock.advance(minutes=5)
    bed.another_gate().reconcile(bed.actor("root"))
    assert bed.records() == []


def test_several_that_come_back_before_the_second_look_have_lost_nothing(bed: Bed) -> None:
    create(bed, "alice", "bob")
    before = bed.records()
    kept = lose(bed)
    with pytest.raises(EngineUnreachable):
        bed.another_gate().reconcile(bed.actor("root"))
    bring_back(bed, kept)
    bed.clock.advance(minutes=5)
    bed.another_gate().reconcile(bed.actor("root"))
    assert bed.records() == before
    lose(bed)  # and what was missing then is forgotten
    with pytest.raises(EngineUnreachable):
        bed.another_gate().reconcile(bed.actor("root"))


def test_an_administrators_word_is_to_remove_the_file(bed: Bed) -> None:
    create(bed, "alice", "bob")
    lose(bed)
    with pytest.raises(EngineUnreachable) as caught:
        bed.another_gate().reconcile(bed.actor("root"))
    assert str(bed.state / "engine") in (caught.value.hint or "")
    (bed.state / "engine").unlink()
    bed.another_gate().reconcile(bed.actor("root"))
    assert bed.records() == []


def test_one_of_several_that_is_gone_has_vanished(bed: Bed) -> None:
    create(bed, "alice", "bob")
    bed.engine.remove_by_force(ALICE)
    bed.another_gate().reconcile(bed.actor("root"))
    assert [record.container_name for record in bed.records()] == [BOB]


def test_an_engine_file_of_an_older_version_is_read(bed: Bed) -> None:
    create(bed, "alice")
    path = bed.state / "engine"
    path.write_text(bed.engine.info().id)
    bed.another_gate().reconcile(bed.actor("root"))
    assert path.read_text().splitlines()[0] == bed.engine.info().id


@pytest.mark.parametrize("content", ["", "\n", "\0\0\0"])
def test_an_empty_engine_file_is_written_again_if_the_containers_are_there(bed: Bed, content: str) -> None:
    create(bed, "alice")
    (bed.state / "engine").write_text(content.replace("\0", ""))
    bed.another_gate().reconcile(bed.actor("root"))
    assert (bed.state / "engine").read_text().splitlines()[0] == bed.engine.info().id


def test_a_container_that_had_been_whole_is_never_removed_as_a_leftover(bed: Bed) -> None:
    create(bed, "alice")
    kept = lose(bed)
    bed.another_gate().reconcile(bed.actor("root"))
    assert bed.records() == []
    bring_back(bed, kept)
    bed.another_gate().reconcile(bed.actor("root"))
    assert bed.record("alice").docker_id in kept
    legal.check_settled(bed)


# What is done under the ledger's lock.


class Watched(Users):
    """A user database that must not be asked under the ledger's lock."""

    def __init__(self, bed: Bed) -> None:
        super().__init__(bed.state / "passwd")
        self._lock = bed.state / "locks" / "ledger.lock"

    def by_uid(self, uid: int) -> Account:
        assert locks.is_free(self._lock)
        return super().by_uid(uid)


def test_the_user_database_is_never_asked_under_the_ledgers_lock(bed: Bed) -> None:
    create(bed, "alice", "bob")
    bed.gate.start(bed.actor("alice"), ALICE)

    def gate() -> Client:
        return Client(bed.make_context(users=Watched(bed)))

    bed.record_file("alice").write_text("")
    gate().reconcile(bed.actor("root"))
    bed.record_file("bob").unlink()
    gate().reconcile(bed.actor("root"))
    gate().create(bed.actor("carol"), bed.request("carol"))
    gate().stop(bed.actor("alice"), ALICE, release=True)
    gate().start(bed.actor("alice"), ALICE, recreate=True)
    gate().allocate(bed.actor("boss"), 70009, "hand", GpuRequest(1))
    legal.check_settled(bed)


def test_somebody_who_comes_between_the_look_and_the_lock_costs_no_question_under_it(bed: Bed) -> None:
    context = bed.make_context(users=Watched(bed))
    asked = context.rules.prefetch

    def ask_and_be_overtaken(entries: Any) -> None:
        asked(entries)
        bed.another_gate().create(bed.actor("bob"), bed.request("bob"))

    context.rules.prefetch = ask_and_be_overtaken  # type: ignore[method-assign]
    assert Client(context).create(bed.actor("alice"), bed.request("alice")).container.gpus


def test_a_replacement_reads_no_removed_record_under_the_ledgers_lock(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        create(bed, "alice")
        bed.gate.remove(bed.actor("alice"), ALICE)
    create(bed, "alice")
    removed = bed.state / "container-metadata" / "removed"
    lock = bed.state / "locks" / "ledger.lock"
    read = files.read

    def watched(path: Path) -> bytes:
        assert path.parent != removed or locks.is_free(lock), path
        return read(path)

    monkeypatch.setattr(files, "read", watched)
    bed.gate.start(bed.actor("alice"), ALICE, recreate=True)
    assert len(list(removed.iterdir())) == 4


def test_a_removed_record_of_an_older_version_is_found_by_its_content(bed: Bed) -> None:
    create(bed, "alice")
    bed.gate.remove(bed.actor("alice"), ALICE)
    (path,) = (bed.state / "container-metadata" / "removed").iterdir()
    record = json.loads(path.read_text())
    path.rename(path.with_name(path.name.replace(f".{record['id']}", "")))
    (found,) = bed.ledger.removed_as(ALICE)
    assert found.id == record["id"]
    assert bed.ledger._removed.has(found.id, container_name=ALICE)
