"""The cause of a container's end is recorded: its process, memory, a restart of Docker or of the server."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from ds01.engines.docker.start_times import booted_at, engine_started_at
from tests import invariants
from tests.harness import Harness
from tests.tick_harness import TickHarness

ALICE_THESIS, BOB_THESIS = "thesis._.70001", "thesis._.70002"


@pytest.fixture
def two(harness: Harness) -> Harness:
    for login in ("alice", "bob"):
        harness.gate.create(harness.actor(login), harness.request(login))
        harness.gate.start(harness.actor(login), harness.full(login))
    harness.clock.advance(hours=1)
    return harness


def why(harness: Harness, login: str = "alice") -> str | None:
    harness.another_gate().reconcile(harness.actor("root"))
    invariants.check_settled(harness)
    return harness.record(login).history[-1].why


def test_a_restart_of_docker(two: Harness) -> None:
    leased = two.leased()
    two.engine.restart_engine()
    two.clock.advance(minutes=3)
    assert why(two, "alice") == why(two, "bob") == "Docker restarted"
    assert two.record("alice").state.value == "held"
    assert two.leased() == leased


def test_a_reboot(two: Harness) -> None:
    leased = two.leased()
    two.engine.restart_engine(reboot=True)
    assert why(two) == "the server was restarted"
    assert two.leased() == leased


def test_a_crash_long_before_or_after_a_restart_is_one(two: Harness) -> None:
    two.engine.kill(ALICE_THESIS)
    two.clock.advance(minutes=5)
    two.engine.restart_engine()
    two.clock.advance(minutes=1)
    assert why(two, "alice") == "killed outside ds01, SIGKILL"
    assert why(two, "bob") == "Docker restarted"
    two.clock.advance(minutes=1)
    two.gate.start(two.actor("alice"), ALICE_THESIS)
    two.clock.advance(seconds=1)
    two.engine.kill(ALICE_THESIS)
    assert why(two, "alice") == "killed outside ds01, SIGKILL"


def test_earlier_oom_does_not_hide_a_reboot(two: Harness) -> None:
    two.engine.kill(ALICE_THESIS, out_of_memory=True)
    two.engine.restart_engine(reboot=True)
    assert why(two) == "the server was restarted"


def test_out_of_memory_and_an_end_of_its_own_are_what_they_were(two: Harness) -> None:
    two.engine.kill(ALICE_THESIS, out_of_memory=True)
    two.engine.kill(BOB_THESIS, code=0)
    two.clock.advance(minutes=2)
    two.engine.restart_engine()
    assert why(two, "alice") == "out of memory: limit 32g"
    assert why(two, "bob") == "exited by itself, code 0"


def test_tick_records_restart_and_start(two: Harness) -> None:
    ticker = TickHarness(two)
    ticker.tick()
    two.engine.restart_engine()
    two.clock.advance(minutes=1)
    two.engine.start(ALICE_THESIS)
    ticker.tick(minutes=1)
    record = two.record("alice")
    assert [step.why for step in record.history[-2:]] == ["Docker restarted", "started again outside ds01"]
    assert record.started_at == two.clock() - timedelta(minutes=1)
    assert two.record("bob").history[-1].why == "Docker restarted"


def test_the_machine_says_since_when(tmp_path: Path) -> None:
    pid, stat = tmp_path / "docker.pid", tmp_path / "stat"
    assert engine_started_at(pid) is None
    assert booted_at(stat) is None
    pid.write_text("1")
    os.utime(pid, (1_000_000, 1_000_000))
    stat.write_text("cpu 1 2\nbtime 1764000000\nprocesses 5\n")
    assert engine_started_at(pid) == datetime.fromtimestamp(1_000_000, timezone.utc)
    assert booted_at(stat) == datetime.fromtimestamp(1_764_000_000, timezone.utc)
    stat.write_text("btime")
    assert booted_at(stat) is None
    assert booted_at() is not None
