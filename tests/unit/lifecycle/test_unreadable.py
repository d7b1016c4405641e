"""An unreadable record is moved aside and rebuilt; meanwhile its slots are not leased."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ds01.errors import Busy, Ds01Error, NoCapacity
from ds01.records.state_machine import State
from tests import invariants
from tests.harness import Harness

ALICE_THESIS = "thesis._.70001"


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def foreign(path: Path) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | {"installation": "another"}))


def misnamed(path: Path) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | {"container_name": "other._.70001"}))


def newer(path: Path) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": 99}))


def unknown_key(path: Path) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | {"surprise": 1}))


def link(path: Path) -> None:
    kept = path.with_name("elsewhere")
    path.rename(kept)
    path.symlink_to(kept)


def binary(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00")


def deep(path: Path) -> None:
    path.write_text("[" * 100_000)


def huge(path: Path) -> None:
    path.write_bytes(b" " * (1 << 20) + b"{}")


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


SPOILERS = [truncated, empty, foreign, misnamed, newer, unknown_key, link, directory, binary, deep, huge]


def aside(harness: Harness) -> list[str]:
    return sorted(path.name for path in (harness.state / "container-metadata").glob("*.corrupt-*"))


def make(harness: Harness, state: str) -> None:
    alice = harness.actor("alice")
    # What is removed vouches for the installation: were all records of another one, nothing would be set aside.
    harness.gate.create(alice, harness.request("alice", "earlier", gpus=0))
    harness.gate.remove(alice, harness.full("alice", "earlier"))
    harness.gate.create(alice, harness.request("alice"))
    harness.clock.advance(minutes=5)
    if state != "created":
        harness.gate.start(alice, ALICE_THESIS)
    harness.clock.advance(minutes=5)
    if state in ("held", "stopped"):
        harness.gate.stop(alice, ALICE_THESIS, release=state == "stopped")


@pytest.mark.parametrize("spoil", SPOILERS)
@pytest.mark.parametrize("state", ["created", "running", "held"])
def test_it_is_moved_aside_and_made_again_with_its_lease(harness: Harness, state: str, spoil: Any) -> None:
    make(harness, state)
    before = harness.record("alice")
    spoil(harness.record_file("alice"))
    gate = harness.another_gate()
    gate.reconcile(harness.actor("root"))
    invariants.check_settled(harness)
    after = harness.record("alice")
    assert (after.state.value, after.id, after.slots) == (state, before.id, before.slots)
    assert after.stopped_at == before.stopped_at
    assert len(aside(harness)) == 1 and aside(harness)[0].startswith(f"{ALICE_THESIS}.json.corrupt-2026")
    assert "repair" in harness.kinds()
    assert gate.reconcile(harness.actor("root")) == ()


def test_a_directory_among_the_records_takes_no_gpu(harness: Harness) -> None:
    (harness.state / "container-metadata" / "nobody._.70003.json").mkdir()
    assert harness.another_gate().create(harness.actor("bob"), harness.request("bob")).container.gpus != ()


@pytest.mark.parametrize("state", ["created", "running", "held"])
def test_another_user_never_gets_its_slots(harness: Harness, state: str) -> None:
    make(harness, state)
    taken = harness.record("alice").lease
    truncated(harness.record_file("alice"))
    given = harness.another_gate().create(harness.actor("bob"), harness.request("bob", gpus=2)).container.gpus
    assert taken is not None
    assert not {slot.uuid for slot in given} & {ref.uuid for ref in taken.slots}
    assert len(harness.leased()) == 3


@pytest.mark.parametrize("state", ["created", "running", "held"])
def test_locked_unreadable_record_is_not_rebuilt(harness: Harness, state: str) -> None:
    make(harness, state)
    empty(harness.record_file("alice"))
    with harness.ledger.container_lock(ALICE_THESIS, doing="being looked at"):
        gate = harness.another_gate()
        bob = harness.actor("bob")
        given = gate.create(bob, harness.request("bob", gpus=2)).container.gpus
        assert harness.uuid["1:0"] not in {slot.uuid for slot in given}
        with pytest.raises(NoCapacity):
            gate.create(harness.actor("boss"), harness.request("boss", gpus=2))
        rows = {row.slot: row.state for row in gate.gpus(bob).slots}
        assert rows["1:0"] == "busy_outside"
    assert aside(harness) == []
    harness.another_gate().reconcile(harness.actor("root"))
    invariants.check_settled(harness)
    assert len(harness.leased()) == 3


def test_a_hold_that_is_over_is_not_given_again(harness: Harness) -> None:
    make(harness, "held")
    empty(harness.record_file("alice"))
    harness.clock.advance(hours=25)
    harness.another_gate().reconcile(harness.actor("root"))
    record = harness.record("alice")
    assert (record.state, record.lease) == (State.STOPPED, None)
    invariants.check_settled(harness)


def test_released_container_with_taken_slots_is_stopped(harness: Harness) -> None:
    make(harness, "stopped")
    harness.gate.create(harness.actor("bob"), harness.request("bob"))
    empty(harness.record_file("alice"))
    harness.another_gate().reconcile(harness.actor("root"))
    assert harness.record("alice").state is State.STOPPED
    assert set(harness.leased().values()) == {"thesis._.70002"}


def test_one_without_a_container_is_only_moved_aside(harness: Harness) -> None:
    make(harness, "created")
    harness.engine.remove_by_force(ALICE_THESIS)
    empty(harness.record_file("alice"))
    harness.another_gate().reconcile(harness.actor("root"))
    assert harness.records() == []
    assert len(aside(harness)) == 1
    harness.gate.create(harness.actor("alice"), harness.request("alice"))


def test_its_owner_works_on_as_if_nothing_had_been(harness: Harness, gate: Any) -> None:
    make(harness, "running")
    truncated(harness.record_file("alice"))
    assert [item.state for item in gate.containers(harness.actor("alice"))] == ["running"]
    empty(harness.record_file("alice"))
    assert gate.stop(harness.actor("alice"), ALICE_THESIS).container.state == "held"
    truncated(harness.record_file("alice"))
    assert gate.remove(harness.actor("alice"), ALICE_THESIS).container.state == "removed"
    assert len(aside(harness)) == 3


def test_a_commit_never_overwrites_what_it_cannot_read(harness: Harness) -> None:
    make(harness, "running")

    class Spoiling(type(harness.engine)):  # type: ignore[misc]
        def stop(self, reference: str, *, grace: float) -> None:
            super().stop(reference, grace=grace)
            harness.record_file("alice").write_bytes(b"precious")

    with pytest.raises(Busy):
        harness.another_gate(engine=Spoiling(harness.engine.store.path, clock=harness.clock)).stop(
            harness.actor("alice"), ALICE_THESIS
        )
    assert harness.record_file("alice").read_bytes() == b"precious"
    harness.another_gate().reconcile(harness.actor("root"))
    invariants.check_settled(harness)
    kept = harness.state / "container-metadata" / aside(harness)[0]
    assert kept.read_bytes() == b"precious"


def test_a_commit_never_brings_a_removed_record_back(harness: Harness) -> None:
    make(harness, "running")
    record = harness.record("alice")
    harness.gate.remove(harness.actor("alice"), ALICE_THESIS, force=True)
    with pytest.raises(Ds01Error), harness.ledger.transaction() as ledger:
        ledger.commit(record, now=harness.clock())
    assert harness.records() == []


def test_two_writers_of_one_record_do_not_overwrite_each_other(harness: Harness) -> None:
    make(harness, "created")
    record = harness.record("alice")
    with harness.ledger.transaction() as ledger:
        ledger.commit(record, now=harness.clock())
    with pytest.raises(Busy), harness.open_ledger().transaction() as ledger:
        ledger.commit(record, now=harness.clock())
