"""A record that cannot be read is moved aside and made again; its slots are given to nobody meanwhile."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ds01.errors import Busy, Ds01Error, NoCapacity
from ds01.records.machine import State
from tests import legal
from tests.bed import Bed

ALICE = "thesis._.70001"


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


def aside(bed: Bed) -> list[str]:
    return sorted(path.name for path in (bed.state / "container-metadata").glob("*.corrupt-*"))


def make(bed: Bed, state: str) -> None:
    alice = bed.actor("alice")
    # What is removed vouches for the installation: were all records of another one, nothing would be set aside.
    bed.gate.create(alice, bed.request("alice", "earlier", gpus=0))
    bed.gate.remove(alice, bed.full("alice", "earlier"))
    bed.gate.create(alice, bed.request("alice"))
    bed.clock.advance(minutes=5)
    if state != "created":
        bed.gate.start(alice, ALICE)
    bed.clock.advance(minutes=5)
    if state in ("held", "stopped"):
        bed.gate.stop(alice, ALICE, release=state == "stopped")


@pytest.mark.parametrize("spoil", SPOILERS)
@pytest.mark.parametrize("state", ["created", "running", "held"])
def test_it_is_moved_aside_and_made_again_with_its_lease(bed: Bed, state: str, spoil: Any) -> None:
    make(bed, state)
    before = bed.record("alice")
    spoil(bed.record_file("alice"))
    gate = bed.another_gate()
    gate.reconcile(bed.actor("root"))
    legal.check_settled(bed)
    after = bed.record("alice")
    assert (after.state.value, after.id, after.slots) == (state, before.id, before.slots)
    assert after.stopped_at == before.stopped_at
    assert len(aside(bed)) == 1 and aside(bed)[0].startswith(f"{ALICE}.json.corrupt-2026")
    assert "repair" in bed.kinds()
    assert gate.reconcile(bed.actor("root")) == ()


def test_a_directory_among_the_records_takes_no_gpu(bed: Bed) -> None:
    (bed.state / "container-metadata" / "nobody._.70003.json").mkdir()
    assert bed.another_gate().create(bed.actor("bob"), bed.request("bob")).container.gpus != ()


@pytest.mark.parametrize("state", ["created", "running", "held"])
def test_another_user_never_gets_its_slots(bed: Bed, state: str) -> None:
    make(bed, state)
    taken = bed.record("alice").lease
    truncated(bed.record_file("alice"))
    given = bed.another_gate().create(bed.actor("bob"), bed.request("bob", gpus=2)).container.gpus
    assert taken is not None
    assert not {slot.uuid for slot in given} & {ref.uuid for ref in taken.slots}
    assert len(bed.leased()) == 3


@pytest.mark.parametrize("state", ["created", "running", "held"])
def test_nor_while_it_cannot_be_rebuilt_since_a_command_is_at_work_on_it(bed: Bed, state: str) -> None:
    make(bed, state)
    empty(bed.record_file("alice"))
    with bed.ledger.container_lock(ALICE, doing="being looked at"):
        gate = bed.another_gate()
        bob = bed.actor("bob")
        given = gate.create(bob, bed.request("bob", gpus=2)).container.gpus
        assert bed.uuid["1:0"] not in {slot.uuid for slot in given}
        with pytest.raises(NoCapacity):
            gate.create(bed.actor("boss"), bed.request("boss", gpus=2))
        rows = {row.slot: row.state for row in gate.gpus(bob).slots}
        assert rows["1:0"] == "busy_outside"
    assert aside(bed) == []
    bed.another_gate().reconcile(bed.actor("root"))
    legal.check_settled(bed)
    assert len(bed.leased()) == 3


def test_a_hold_that_is_over_is_not_given_again(bed: Bed) -> None:
    make(bed, "held")
    empty(bed.record_file("alice"))
    bed.clock.advance(hours=25)
    bed.another_gate().reconcile(bed.actor("root"))
    record = bed.record("alice")
    assert (record.state, record.lease) == (State.STOPPED, None)
    legal.check_settled(bed)


def test_a_released_one_whose_slots_somebody_has_is_stopped(bed: Bed) -> None:
    make(bed, "stopped")
    bed.gate.create(bed.actor("bob"), bed.request("bob"))
    empty(bed.record_file("alice"))
    bed.another_gate().reconcile(bed.actor("root"))
    assert bed.record("alice").state is State.STOPPED
    assert set(bed.leased().values()) == {"thesis._.70002"}


def test_one_without_a_container_is_only_moved_aside(bed: Bed) -> None:
    make(bed, "created")
    bed.engine.remove_by_force(ALICE)
    empty(bed.record_file("alice"))
    bed.another_gate().reconcile(bed.actor("root"))
    assert bed.records() == []
    assert len(aside(bed)) == 1
    bed.gate.create(bed.actor("alice"), bed.request("alice"))


def test_its_owner_works_on_as_if_nothing_had_been(bed: Bed, gate: Any) -> None:
    make(bed, "running")
    truncated(bed.record_file("alice"))
    assert [item.state for item in gate.containers(bed.actor("alice"))] == ["running"]
    empty(bed.record_file("alice"))
    assert gate.stop(bed.actor("alice"), ALICE).container.state == "held"
    truncated(bed.record_file("alice"))
    assert gate.remove(bed.actor("alice"), ALICE).container.state == "removed"
    assert len(aside(bed)) == 3


def test_a_commit_never_overwrites_what_it_cannot_read(bed: Bed) -> None:
    make(bed, "running")

    class Spoiling(type(bed.engine)):  # type: ignore[misc]
        def stop(self, reference: str, *, grace: float) -> None:
            super().stop(reference, grace=grace)
            bed.record_file("alice").write_bytes(b"precious")

    with pytest.raises(Busy):
        bed.another_gate(engine=Spoiling(bed.engine.store.path, clock=bed.clock)).stop(bed.actor("alice"), ALICE)
    assert bed.record_file("alice").read_bytes() == b"precious"
    bed.another_gate().reconcile(bed.actor("root"))
    legal.check_settled(bed)
    kept = bed.state / "container-metadata" / aside(bed)[0]
    assert kept.read_bytes() == b"precious"


def test_a_commit_never_brings_a_removed_record_back(bed: Bed) -> None:
    make(bed, "running")
    record = bed.record("alice")
    bed.gate.remove(bed.actor("alice"), ALICE, force=True)
    with pytest.raises(Ds01Error), bed.ledger.transaction() as ledger:
        ledger.commit(record, now=bed.clock())
    assert bed.records() == []


def test_two_writers_of_one_record_do_not_overwrite_each_other(bed: Bed) -> None:
    make(bed, "created")
    record = bed.record("alice")
    with bed.ledger.transaction() as ledger:
        ledger.commit(record, now=bed.clock())
    with pytest.raises(Busy), bed.open_ledger().transaction() as ledger:
        ledger.commit(record, now=bed.clock())
