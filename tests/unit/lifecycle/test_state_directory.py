"""The owner of a state directory, unreadable files in it, and what locks and timestamps do not prove."""

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
from ds01.records.wait_queue import Waiter
from ds01.system import files, locks
from ds01.system.users import Account, Users
from tests import coarse_timestamps, invariants
from tests.client import Client
from tests.harness import Harness

ALICE_THESIS, BOB_THESIS = "thesis._.70001", "thesis._.70002"


def aside(harness: Harness) -> list[str]:
    return [path.name for path in (harness.state / "container-metadata").glob("*.corrupt-*")]


def create(harness: Harness, *logins: str) -> None:
    for login in logins:
        harness.gate.create(harness.actor(login), harness.request(login))


# Timestamps.


def test_commit_with_equal_timestamp_and_inode_is_noticed(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two ledgers as of two processes; the second has read the record before the first changes it."""
    create(harness, "alice")
    same = os.stat_result((0o100664, 1, 1, 1, 0, 0, 10, 0, 0, 0), dict.fromkeys(("st_mtime_ns", "st_ctime_ns"), 0))
    monkeypatch.setattr(coarse_timestamps, "_truncate", lambda status: same)
    coarse_timestamps.truncate_timestamps(monkeypatch, harness.state / "container-metadata")
    other = harness.open_ledger()
    other.read()
    record = harness.record("alice")
    with harness.ledger.transaction() as ledger:
        ledger.commit(dataclasses.replace(record, keep=True), now=harness.clock())
    with other.transaction() as ledger:
        seen = ledger.records[ALICE_THESIS]
    assert getattr(seen, "keep", None) is True


def test_a_waiter_notices_every_commit_whatever_the_timestamps(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(harness, "alice")
    coarse_timestamps.truncate_timestamps(monkeypatch, harness.state)
    before = harness.ledger.version()
    assert harness.open_ledger().version() == before
    with harness.open_ledger().transaction() as ledger:
        record = ledger.records[ALICE_THESIS]
        ledger.commit(record, now=harness.clock())  # type: ignore[arg-type]
    assert harness.ledger.version() != before


def test_emptied_lock_file_means_anything_changed(harness: Harness) -> None:
    create(harness, "alice")
    other = harness.open_ledger()
    other.read()
    (harness.state / "locks" / "ledger.lock").write_bytes(b"")
    create(harness, "bob")
    with other.transaction() as ledger:
        assert set(ledger.records) == {ALICE_THESIS, BOB_THESIS}


# Locks.


def test_replaced_lock_file_still_excludes_others(fast_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One process opens the lock file; before it locks it, the file is deleted, and another process locks a new one."""
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


def test_waiter_notices_its_replaced_file(harness: Harness) -> None:
    waiter = Waiter("", "alice", 70001, 10, harness.clock(), ALICE_THESIS, harness.request("alice"))
    line = harness.ledger.wait_queue()
    with line.join(waiter) as joined:
        path = harness.state / "queue" / f"{joined.id}.json"
        assert line.refresh(joined)
        copy = path.with_suffix(".copy")
        copy.write_bytes(path.read_bytes())
        copy.rename(path)
        assert not line.refresh(joined)
        assert line.waiters() == ()


def test_a_transaction_whose_lock_was_replaced_writes_nothing(harness: Harness) -> None:
    create(harness, "alice")
    record = harness.record("alice")
    with pytest.raises(Busy), harness.ledger.transaction() as ledger:
        (harness.state / "locks" / "ledger.lock").unlink()
        ledger.commit(record, now=harness.clock())
    assert harness.record("alice") == record


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


def test_unreadable_manual_lease_keeps_its_gpu(
    harness: Harness, failing: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.gate.allocate(harness.actor("boss"), 70001, "hand", GpuRequest(2))
    failing(harness.record_file("alice", "hand"))
    with pytest.raises(Ds01Error) as caught:
        harness.another_gate().create(harness.actor("bob"), harness.request("bob", gpus=2))
    assert isinstance(caught.value, NoCapacity) or "cannot be read" in caught.value.message
    with pytest.raises(Ds01Error):
        harness.another_gate().create(harness.actor("carol"), harness.request("carol"))
        harness.another_gate().create(harness.actor("carol"), harness.request("carol", "other"))
    assert aside(harness) == []
    monkeypatch.undo()
    assert len(harness.leased()) == 2


def test_a_container_whose_record_cannot_be_read_now_keeps_it(
    harness: Harness, failing: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    create(harness, "alice")
    before = harness.record("alice")
    failing(harness.record_file("alice"))
    try:
        harness.another_gate().reconcile(harness.actor("root"))
    except Ds01Error as error:
        assert "cannot be read" in error.message
    with pytest.raises(Ds01Error, match="cannot be read"):
        harness.another_gate().stop(harness.actor("alice"), ALICE_THESIS)
    assert aside(harness) == []
    monkeypatch.undo()
    assert harness.record("alice") == before
    invariants.check_settled(harness)


def test_record_on_a_bad_sector_affects_no_other(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    create(harness, "alice", "bob")
    read = files.read

    def failing_read(path: Path) -> bytes:
        if path == harness.record_file("alice"):
            raise OSError(errno.EIO, "Input/output error", str(path))
        return read(path)

    monkeypatch.setattr(files, "read", failing_read)
    gate = harness.another_gate()
    assert [item.name for item in gate.containers(harness.actor("bob"))] == ["thesis"]
    assert gate.start(harness.actor("bob"), BOB_THESIS).container.state == "running"
    # What alice's container has is known from its labels.
    assert gate.create(harness.actor("carol"), harness.request("carol")).container.gpus


# The installation's id.


@pytest.mark.parametrize("content", [b"", b"\n", b"nonsense\n", b"\x00" * 33, b"\xff\xfe"])
def test_installation_file_without_id_is_an_error_naming_it(harness: Harness, content: bytes) -> None:
    create(harness, "alice", "bob")
    identity = harness.ledger.installation
    (harness.state / "installation").write_bytes(content)
    with pytest.raises(Ds01Error) as caught:
        harness.open_ledger()
    assert identity in (caught.value.hint or "")
    assert (harness.state / "installation").read_bytes() == content
    (harness.state / "installation").write_text(f"{identity}\n")
    assert len(harness.leased()) == 2
    assert aside(harness) == []


@pytest.mark.parametrize("left", ["records", "removed"])
def test_missing_installation_id_is_not_recreated_beside_records(harness: Harness, left: str) -> None:
    create(harness, "alice")
    if left == "removed":
        harness.gate.remove(harness.actor("alice"), ALICE_THESIS)
    (harness.state / "installation").unlink()
    with pytest.raises(Ds01Error) as caught:
        harness.open_ledger()
    assert harness.ledger.installation in (caught.value.hint or "")
    assert not (harness.state / "installation").exists()


def test_corrupt_installation_file_error_says_how_to_start(fast_tmp: Path) -> None:
    harness = Harness(fast_tmp / "bed")
    (harness.state / "installation").write_text("")
    with pytest.raises(Ds01Error) as caught:
        harness.open_ledger()
    assert "remove " in (caught.value.hint or "")


def test_records_of_another_installation_are_left_alone(harness: Harness) -> None:
    create(harness, "alice", "bob")
    identity = harness.ledger.installation
    (harness.state / "installation").write_text("0" * 32)
    with pytest.raises(Ds01Error) as caught:
        harness.another_gate().create(harness.actor("carol"), harness.request("carol"))
    assert identity in (caught.value.hint or "")
    with pytest.raises(Ds01Error):
        harness.another_gate().reconcile(harness.actor("root"))
    assert aside(harness) == []
    (harness.state / "installation").write_text(identity)
    assert len(harness.leased()) == 2


# Another Docker.


class Rooted:
    """An engine whose data root is a directory."""

    def __init__(self, harness: Harness, root: Path | None) -> None:
        self._engine = harness.engine
        self.root = root

    def info(self) -> EngineInfo:
        return dataclasses.replace(self._engine.info(), root_dir=None if self.root is None else str(self.root))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


def roots(harness: Harness) -> tuple[Path, Path]:
    found = (harness.root / "docker", harness.root / "other")
    for folder in found:
        folder.mkdir()
    return found


def lose(harness: Harness) -> dict[str, Any]:
    """Let the engine have nothing any more; what it had."""
    with harness.engine.change() as state:
        kept = dict(state["containers"])
        state["containers"].clear()
    return kept


def bring_back(harness: Harness, kept: dict[str, Any]) -> None:
    with harness.engine.change() as state:
        state["containers"].update(kept)


ACTS: dict[str, Callable[[Client, Harness], Any]] = {
    "reconcile": lambda gate, harness: gate.reconcile(harness.actor("root")),
    "list": lambda gate, harness: gate.containers(harness.actor("alice")),
    "status": lambda gate, harness: gate.gpus(harness.actor("alice")),
    "start": lambda gate, harness: gate.start(harness.actor("alice"), ALICE_THESIS),
    "sizes": lambda gate, harness: gate.sizes(harness.actor("alice"), (ALICE_THESIS,)),
    "create": lambda gate, harness: gate.create(harness.actor("carol"), harness.request("carol")),
}


@pytest.mark.parametrize("act", ACTS)
def test_other_data_root_without_containers_is_not_believed(harness: Harness, act: str) -> None:
    before, after = roots(harness)
    engine = Rooted(harness, before)
    harness.another_gate(engine=engine).create(harness.actor("alice"), harness.request("alice"))  # type: ignore[arg-type]
    record = harness.record("alice")
    engine.root = after
    kept = lose(harness)
    for _ in range(3):  # however often it is read
        with pytest.raises(EngineUnreachable):
            ACTS[act](harness.another_gate(engine=engine), harness)  # type: ignore[arg-type]
        harness.clock.advance(hours=1)
    assert harness.record("alice") == record
    engine.root = before
    bring_back(harness, kept)
    harness.another_gate(engine=engine).reconcile(harness.actor("root"))  # type: ignore[arg-type]
    invariants.check_settled(harness)
    assert len(harness.leased()) == 1


def test_moved_data_root_with_containers_is_the_same_docker(harness: Harness) -> None:
    before, after = roots(harness)
    engine = Rooted(harness, before)
    gate = harness.another_gate(engine=engine)  # type: ignore[arg-type]
    gate.create(harness.actor("alice"), harness.request("alice"))
    engine.root = after
    assert len(harness.another_gate(engine=engine).containers(harness.actor("alice"))) == 1  # type: ignore[arg-type]
    harness.engine.remove_by_force(ALICE_THESIS)  # and from now on it is its data root
    assert harness.another_gate(engine=engine).containers(harness.actor("alice")) == ()  # type: ignore[arg-type]


@pytest.mark.parametrize("act", ACTS)
def test_loss_of_all_containers_is_believed_at_the_second_check(harness: Harness, act: str) -> None:
    create(harness, "alice", "bob")
    lose(harness)
    for _ in range(2):
        with pytest.raises(EngineUnreachable):
            ACTS[act](harness.another_gate(), harness)
    assert len(harness.leased()) == 2
    harness.clock.advance(minutes=5)
    harness.another_gate().reconcile(harness.actor("root"))
    assert harness.records() == []


def test_containers_back_before_the_second_check_lose_nothing(harness: Harness) -> None:
    create(harness, "alice", "bob")
    before = harness.records()
    kept = lose(harness)
    with pytest.raises(EngineUnreachable):
        harness.another_gate().reconcile(harness.actor("root"))
    bring_back(harness, kept)
    harness.clock.advance(minutes=5)
    harness.another_gate().reconcile(harness.actor("root"))
    assert harness.records() == before
    lose(harness)  # and what was missing then is forgotten
    with pytest.raises(EngineUnreachable):
        harness.another_gate().reconcile(harness.actor("root"))


def test_an_administrators_word_is_to_remove_the_file(harness: Harness) -> None:
    create(harness, "alice", "bob")
    lose(harness)
    with pytest.raises(EngineUnreachable) as caught:
        harness.another_gate().reconcile(harness.actor("root"))
    assert str(harness.state / "engine") in (caught.value.hint or "")
    (harness.state / "engine").unlink()
    harness.another_gate().reconcile(harness.actor("root"))
    assert harness.records() == []


def test_one_of_several_that_is_gone_has_vanished(harness: Harness) -> None:
    create(harness, "alice", "bob")
    harness.engine.remove_by_force(ALICE_THESIS)
    harness.another_gate().reconcile(harness.actor("root"))
    assert [record.container_name for record in harness.records()] == [BOB_THESIS]


def test_an_engine_file_of_an_older_version_is_read(harness: Harness) -> None:
    create(harness, "alice")
    path = harness.state / "engine"
    path.write_text(harness.engine.info().id)
    harness.another_gate().reconcile(harness.actor("root"))
    assert path.read_text().splitlines()[0] == harness.engine.info().id


@pytest.mark.parametrize("content", ["", "\n", "\0\0\0"])
def test_empty_engine_file_is_rewritten_if_containers_exist(harness: Harness, content: str) -> None:
    create(harness, "alice")
    (harness.state / "engine").write_text(content.replace("\0", ""))
    harness.another_gate().reconcile(harness.actor("root"))
    assert (harness.state / "engine").read_text().splitlines()[0] == harness.engine.info().id


def test_complete_container_is_never_removed_as_leftover(harness: Harness) -> None:
    create(harness, "alice")
    kept = lose(harness)
    harness.another_gate().reconcile(harness.actor("root"))
    assert harness.records() == []
    bring_back(harness, kept)
    harness.another_gate().reconcile(harness.actor("root"))
    assert harness.record("alice").docker_id in kept
    invariants.check_settled(harness)


# What is done under the ledger's lock.


class Watched(Users):
    """A user database that must not be asked under the ledger's lock."""

    def __init__(self, harness: Harness) -> None:
        super().__init__(harness.state / "passwd")
        self._lock = harness.state / "locks" / "ledger.lock"

    def by_uid(self, uid: int) -> Account:
        assert locks.is_free(self._lock)
        return super().by_uid(uid)


def test_the_user_database_is_never_asked_under_the_ledgers_lock(harness: Harness) -> None:
    create(harness, "alice", "bob")
    harness.gate.start(harness.actor("alice"), ALICE_THESIS)

    def gate() -> Client:
        return Client(harness.make_context(users=Watched(harness)))

    harness.record_file("alice").write_text("")
    gate().reconcile(harness.actor("root"))
    harness.record_file("bob").unlink()
    gate().reconcile(harness.actor("root"))
    gate().create(harness.actor("carol"), harness.request("carol"))
    gate().stop(harness.actor("alice"), ALICE_THESIS, release=True)
    gate().start(harness.actor("alice"), ALICE_THESIS, recreate=True)
    gate().allocate(harness.actor("boss"), 70009, "hand", GpuRequest(1))
    invariants.check_settled(harness)


def test_new_owner_before_the_lock_causes_no_lookup_under_it(harness: Harness) -> None:
    context = harness.make_context(users=Watched(harness))
    asked = context.rules.prefetch

    def ask_and_be_overtaken(entries: Any) -> None:
        asked(entries)
        harness.another_gate().create(harness.actor("bob"), harness.request("bob"))

    context.rules.prefetch = ask_and_be_overtaken  # type: ignore[method-assign]
    assert Client(context).create(harness.actor("alice"), harness.request("alice")).container.gpus


def test_replacement_reads_no_removed_record_under_the_lock(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        create(harness, "alice")
        harness.gate.remove(harness.actor("alice"), ALICE_THESIS)
    create(harness, "alice")
    removed = harness.state / "container-metadata" / "removed"
    lock = harness.state / "locks" / "ledger.lock"
    read = files.read

    def watched(path: Path) -> bytes:
        assert path.parent != removed or locks.is_free(lock), path
        return read(path)

    monkeypatch.setattr(files, "read", watched)
    harness.gate.start(harness.actor("alice"), ALICE_THESIS, recreate=True)
    assert len(list(removed.iterdir())) == 4


def test_removed_record_without_id_in_its_name_is_found(harness: Harness) -> None:
    create(harness, "alice")
    harness.gate.remove(harness.actor("alice"), ALICE_THESIS)
    (path,) = (harness.state / "container-metadata" / "removed").iterdir()
    record = json.loads(path.read_text())
    path.rename(path.with_name(path.name.replace(f".{record['id']}", "")))
    (found,) = harness.ledger.removed_named(ALICE_THESIS)
    assert found.id == record["id"]
    assert harness.ledger._removed.has(found.id, container_name=ALICE_THESIS)
