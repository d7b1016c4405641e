"""gpu-allocations.log: one line for each slot allocated, held, resumed or released."""

from __future__ import annotations

from pathlib import Path

import pytest

from ds01.gpus.model import GpuRequest
from ds01.journal.lease_log import LeaseLog, LeaseLogEntry
from ds01.records.ledger import Ledger
from ds01.system import clock
from tests.client import Client
from tests.harness import NOON, Harness

ALICE_THESIS = "thesis._.70001"


@pytest.fixture
def log(harness: Harness) -> Path:
    path = harness.root / "gpu-allocations.log"
    ledger = Ledger(harness.state, sandbox=True, leases=LeaseLog(path))
    harness.gate = Client(harness.make_context(engine=harness.engine, ledger=ledger))
    return path


def lines(path: Path) -> list[str]:
    """Return the lines since the last call, without their times."""
    text = path.read_text() if path.exists() else ""
    path.write_text("")
    return [line[20:] for line in text.splitlines()]


def test_log_follows_a_container_life(harness: Harness, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, alice = harness.gate, harness.actor("alice")
    gate.create(alice, harness.request("alice", gpus=2))
    about = f"alice {ALICE_THESIS} priority=10"
    assert lines(log) == [f"ALLOCATED 1:0 {about} create by alice", f"ALLOCATED 1:1 {about} create by alice"]
    gate.start(alice, ALICE_THESIS)
    assert lines(log) == []
    gate.stop(alice, ALICE_THESIS)
    assert lines(log) == [f"HELD 1:0 {about} stop by alice", f"HELD 1:1 {about} stop by alice"]
    gate.start(alice, ALICE_THESIS)
    assert [line.split()[0] for line in lines(log)] == ["RESUMED", "RESUMED"]
    gate.stop(alice, ALICE_THESIS, release=True)
    assert [line.split()[:2] for line in lines(log)] == [["RELEASED", "1:0"], ["RELEASED", "1:1"]]
    gate.start(alice, ALICE_THESIS)
    assert lines(log)[0] == f"ALLOCATED 1:0 {about} start by alice"
    harness.engine.remove_by_force(ALICE_THESIS)
    gate.reconcile(alice)
    assert lines(log)[0] == f"RELEASED 1:0 {about} vanish by observed: removed outside ds01"


def test_manual_lease_and_failed_create_are_logged(harness: Harness, log: Path) -> None:
    harness.gate.allocate(harness.actor("boss"), 70001, "hand", GpuRequest(1))
    assert [line.split()[0] for line in lines(log)] == ["ALLOCATED"]
    harness.gate.release(harness.actor("boss"), "hand._.70001")
    assert [line.split()[0] for line in lines(log)] == ["RELEASED"]
    harness.gate.create(harness.actor("alice"), harness.request("alice", gpus=0))
    assert lines(log) == []


def test_recreate_on_another_slot_is_logged(harness: Harness, log: Path) -> None:
    gate, alice = harness.gate, harness.actor("alice")
    gate.create(alice, harness.request("alice", gpus=1))
    gate.start(alice, ALICE_THESIS)
    gate.stop(alice, ALICE_THESIS, release=True)
    gate.create(harness.actor("bob"), harness.request("bob", gpus=1))
    lines(log)
    gate.start(alice, ALICE_THESIS, recreate=True)
    said = [line.split()[:2] for line in lines(log)]
    assert said == [["ALLOCATED", "1:1"], ["RELEASED", "1:1"], ["ALLOCATED", "1:1"]]


def test_format_and_mode(tmp_path: Path) -> None:
    log = LeaseLog(tmp_path / "log")
    log.write([LeaseLogEntry("ALLOCATED", "0:1", "alice", ALICE_THESIS, 10, "a\nb\x1b[2J")], NOON, mode=0o664)
    assert (tmp_path / "log").read_text() == (
        f"{clock.to_server_zone(NOON):%Y-%m-%d %H:%M:%S} ALLOCATED 0:1 alice thesis._.70001 priority=10 a?b?[2J\n"
    )
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o664


def test_failed_write_stops_nothing(harness: Harness, log: Path) -> None:
    log.mkdir()
    harness.gate.create(harness.actor("alice"), harness.request("alice", gpus=1))
    LeaseLog(harness.root / "none" / "log").write([LeaseLogEntry("HELD", "0", "a", "b", 1, "c")], NOON, mode=0o664)
