"""Processes that the kernel hides from users: root's tick provides their names."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ds01.gpus.model import GpuObservation, GpuProcess
from ds01.gpus.simulated import SimulatedInventory
from tests.harness import Harness
from tests.tick_harness import TickHarness

XORG = GpuProcess(7, "Xorg", None, 1 << 30)
PYTHON = GpuProcess(8, "python3")


@pytest.fixture
def ticker(harness: Harness) -> TickHarness:
    return TickHarness(harness)


def shows(harness: Harness, *processes: GpuProcess, hidden: bool) -> None:
    """Let GPU 0 show these processes, to root or to a user from whom they are hidden."""
    whole = harness.inventory.observe()
    shown = tuple(replace(process, name=None) if hidden else process for process in processes)
    slots = tuple(replace(slot, processes=shown if slot.slot == "0" else ()) for slot in whole.slots)
    harness.inventory = SimulatedInventory(replace(whole, slots=slots, simulated=False))
    harness.set_policy(harness.policy_text)


def state_of_gpu_0(harness: Harness) -> tuple[str, str | None]:
    row = harness.gate.gpus(harness.actor("alice")).slots[0]
    return row.state, row.why


def test_a_hidden_process_is_use_until_a_tick_has_named_it(ticker: TickHarness) -> None:
    harness = ticker.harness
    shows(harness, XORG, hidden=True)
    assert state_of_gpu_0(harness)[0] == "busy_outside"
    shows(harness, XORG, hidden=False)
    ticker.tick()
    shows(harness, XORG, hidden=True)
    assert state_of_gpu_0(harness)[0] == "free"


def test_a_hidden_process_that_counts_is_named_to_everybody(ticker: TickHarness) -> None:
    harness = ticker.harness
    shows(harness, PYTHON, hidden=False)
    ticker.tick()
    shows(harness, PYTHON, hidden=True)
    state, why = state_of_gpu_0(harness)
    assert state == "busy_outside"
    assert "python3 (pid 8)" in (why or "")


@pytest.mark.parametrize("seconds", [16 * 60, -60], ids=["long ago", "from the future"])
def test_what_a_tick_saw_at_another_time_says_nothing(ticker: TickHarness, seconds: float) -> None:
    harness = ticker.harness
    shows(harness, XORG, hidden=False)
    ticker.tick()
    shows(harness, XORG, hidden=True)
    harness.clock.advance(seconds=seconds)
    assert state_of_gpu_0(harness)[0] == "busy_outside"


@pytest.mark.parametrize("other", [GpuProcess(9), GpuProcess(7, "trainer")], ids=["another process", "one with a name"])
def test_only_the_process_that_was_seen_gets_its_name(ticker: TickHarness, other: GpuProcess) -> None:
    harness = ticker.harness
    shows(harness, XORG, hidden=False)
    ticker.tick()
    shows(harness, other, hidden=False)
    assert state_of_gpu_0(harness)[0] == "busy_outside"


@pytest.mark.parametrize(
    "content", ["", "[]", "{", "null", '{"at": 1}', '{"at": "2026-11-30T12:00:00Z", "slots": [1]}',
                '{"at": "2026-11-30T12:00:00Z", "slots": {"GPU-a": [{}]}}'],
)  # fmt: skip
def test_a_damaged_file_says_nothing(harness: Harness, content: str) -> None:
    shows(harness, XORG, hidden=True)
    (harness.state / "tick-processes.json").write_text(content)
    assert state_of_gpu_0(harness)[0] == "busy_outside"


def test_gpu_process_file_is_world_readable(ticker: TickHarness) -> None:
    harness = ticker.harness
    shows(harness, XORG, GpuProcess(9), hidden=False)
    ticker.tick()
    path: Path = harness.state / "tick-processes.json"
    assert path.stat().st_mode & 0o777 == 0o644
    document: dict[str, Any] = json.loads(path.read_text())
    assert document["slots"] == {harness.uuid["0"]: [{"pid": 7, "name": "Xorg", "container": None}]}


def test_a_dry_run_and_simulated_gpus_leave_no_file(ticker: TickHarness) -> None:
    ticker.tick()
    shows(ticker.harness, XORG, hidden=False)
    ticker.make_tick(dry_run=True).run()
    assert not (ticker.harness.state / "tick-processes.json").exists()


def test_slots_without_a_process_list_stay_without(harness: Harness) -> None:
    whole: GpuObservation = harness.inventory.observe()
    slots = tuple(replace(slot, processes=None) for slot in whole.slots)
    harness.inventory = SimulatedInventory(replace(whole, slots=slots))
    harness.set_policy(harness.policy_text)
    assert {row.state for row in harness.gate.gpus(harness.actor("alice")).slots} == {"busy_outside"}
