"""Dates in the policy and times on screen use the server's time zone, not the caller's TZ."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from ds01.system import clock
from ds01.system.clock import read_zone
from tests.command_line import CommandLine
from tests.unit.system.test_clock import ZONES, needs_zones

POLICY = """\
defaults: {max_mig_instances: 2}
groups:
  lab: {members: [bob]}
user_overrides:
  alice: {max_cpus: 3, until: 2026-11-30}
reservations:
  - {for: "@lab", slots: ["0", "1:0", "1:1", "1:2"], from: 2026-11-01, until: 2026-11-30}
"""
CALLERS = ["Etc/GMT+12", "Etc/GMT-14", "Asia/Tokyo", "UTC", "nonsense", ":/etc/passwd", ""]

pytestmark = [needs_zones, pytest.mark.in_process("the zone of this process is changed")]


@pytest.fixture(params=CALLERS)
def berlin(ds: CommandLine, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[CommandLine]:
    """A server in Berlin, and a caller whose TZ says something else."""
    monkeypatch.setattr(clock, "LOCALTIME", ZONES / "Europe/Berlin")
    clock.server_zone.cache_clear()
    (ds.harness.root / "resource-limits.yaml").write_text(POLICY)
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    assert read_zone(clock.LOCALTIME) is not None
    yield ds
    monkeypatch.undo()
    time.tzset()
    clock.server_zone.cache_clear()


@pytest.mark.parametrize(("now", "cpus"), [("2026-11-30T22:59:00Z", 3), ("2026-11-30T23:01:00Z", 8)])
def test_an_override_ends_with_the_servers_day(now: str, cpus: int, berlin: CommandLine) -> None:
    assert berlin("limits", "--json", now=now).json["max_cpus"] == cpus


@pytest.mark.parametrize(("now", "code"), [("2026-11-30T22:59:00Z", 4), ("2026-11-30T23:01:00Z", 0)])
def test_a_reservation_ends_with_the_servers_day(now: str, code: int, berlin: CommandLine) -> None:
    answer = berlin("container-create", "thesis", "pytorch", "-q", now=now)
    assert answer.code == code, answer


def test_a_promise_names_the_servers_time(berlin: CommandLine) -> None:
    berlin("container-create", "thesis", "pytorch", "-q", now="2026-12-01T10:00:00Z")
    shown = berlin("gpu", "status", now="2026-12-01T10:00:00Z")
    assert "11:30" in shown.out, shown  # created_timeout: 30m
