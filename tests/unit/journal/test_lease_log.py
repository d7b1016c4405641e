"""gpu-allocations.log: one line for each slot that was given, held, used again or given back."""

from __future__ import annotations

from pathlib import Path

import pytest

from ds01.gpus.model import GpuRequest
from ds01.journal.lease_log import LeaseLog, LeaseLogEntry
from ds01.records.ledger import Ledger
from ds01.system import clock
from tests.bed import NOON, Bed
from tests.client import Client

ALICE = "thesis._.70001"


@pytest.fixture
def log(bed: Bed) -> Path:
    path = bed.root / "gpu-allocations.log"
    ledger = Ledger(bed.state, own=True, leases=LeaseLog(path))
    bed.gate = Client(bed.make_context(engine=bed.engine, ledger=ledger))
    return path


def lines(path: Path) -> list[str]:
    """The lines since the last time, without their times."""
    text = path.read_text() if path.exists() else ""
    path.write_text("")
    return [line[20:] for line in text.splitlines()]


def test_log_follows_a_container_life(bed: Bed, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, alice = bed.gate, bed.actor("alice")
    gate.create(alice, bed.request("alice", gpus=2))
    about = f"alice {ALICE} priority=10"
    assert lines(log) == [f"ALLOCATED 1:0 {about} create by alice", f"ALLOCATED 1:1 {about} create by alice"]
    gate.start(alice, ALICE)
    assert lines(log) == []
    gate.stop(alice, ALICE)
    assert lines(log) == [f"HELD 1:0 {about} stop by alice", f"HELD 1:1 {about} stop by alice"]
    gate.start(alice, ALICE)
    assert [line.split()[0] for line in lines(log)] == ["RESUMED", "RESUMED"]
    gate.stop(alice, ALICE, release=True)
    assert [line.split()[:2] for line in lines(log)] == [["RELEASED", "1:0"], ["RELEASED", "1:1"]]
    gate.start(alice, ALICE)
    assert lines(log)[0] == f"ALLOCATED 1:0 {about} start by alice"
    bed.engine.remove_by_force(ALICE)
    gate.reconcile(alice)
    assert lines(log)[0] == f"RELEASED 1:0 {about} vanish by observed: removed behind ds01"


def test_a_lease_by_hand_and_a_create_that_failed(bed: Bed, log: Path) -> None:
    bed.gate.allocate(bed.actor("boss"), 70001, "hand", GpuRequest(1))
    assert [line.split()[0] for line in lines(log)] == ["ALLOCATED"]
    bed.gate.release(bed.actor("boss"), "hand._.70001")
    assert [line.split()[0] for line in lines(log)] == ["RELEASED"]
    bed.gate.create(bed.actor("alice"), bed.request("alice", gpus=0))
    assert lines(log) == []


def test_recreate_elsewhere_moves_the_lines(bed: Bed, log: Path) -> None:
    gate, alice = bed.gate, bed.actor("alice")
    gate.create(alice, bed.request("alice", gpus=1))
    gate.start(alice, ALICE)
    gate.stop(alice, ALICE, release=True)
    gate.create(bed.actor("bob"), bed.request("bob", gpus=1))
    lines(log)
    gate.start(alice, ALICE, recreate=True)
    said = [line.split()[:2] for line in lines(log)]
    assert said == [["ALLOCATED", "1:1"], ["RELEASED", "1:1"], ["ALLOCATED", "1:1"]]


def test_its_form_and_mode(tmp_path: Path) -> None:
    log = LeaseLog(tmp_path / "log")
    log.write([LeaseLogEntry("ALLOCATED", "0:1", "alice", ALICE, 10, "a\nb\x1b[2J")], NOON, mode=0o664)
    assert (tmp_path / "log").read_text() == (
        f"{clock.to_server_zone(NOON):%Y-%m-%d %H:%M:%S} ALLOCATED 0:1 alice thesis._.70001 priority=10 a?b?[2J\n"
    )
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o664


def test_a_log_that_cannot_be_written_stops_nothing(bed: Bed, log: Path) -> None:
    log.mkdir()
    bed.gate.create(bed.actor("alice"), bed.request("alice", gpus=1))
    LeaseLog(bed.root / "none" / "log").write([LeaseLogEntry("HELD", "0", "a", "b", 1, "c")], NOON, mode=0o664)
