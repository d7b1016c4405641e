"""Processes that the kernel hides from users: the tick, which is root's, says what they are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ds01.gpus.model import GpuObservation, GpuProcess
from ds01.gpus.simulated import SimulatedInventory
from tests.bed import Bed
from tests.ticking import Ticking

XORG = GpuProcess(7, "Xorg", None, 1 << 30)
PYTHON = GpuProcess(8, "python3")


@pytest.fixture
def ticking(bed: Bed) -> Ticking:
    return Ticking(bed)


def shows(bed: Bed, *processes: GpuProcess, hidden: bool) -> None:
    """Let GPU 0 show these processes, to root or to somebody from whom they are hidden."""
    whole = bed.inventory.observe()
    shown = tuple(replace(process, name=None) if hidden else process for process in processes)
    slots = tuple(replace(slot, processes=shown if slot.slot == "0" else ()) for slot in whole.slots)
    bed.inventory = SimulatedInventory(replace(whole, slots=slots, simulated=False))
    bed.set_policy(bed.policy_text)


def state_of_gpu_0(bed: Bed) -> tuple[str, str | None]:
    row = bed.gate.gpus(bed.actor("alice")).slots[0]
    return row.state, row.why


def test_a_hidden_process_is_use_until_a_tick_has_named_it(ticking: Ticking) -> None:
    bed = ticking.bed
    shows(bed, XORG, hidden=True)
    assert state_of_gpu_0(bed)[0] == "busy_outside"
    shows(bed, XORG, hidden=False)
    ticking.tick()
    shows(bed, XORG, hidden=True)
    assert state_of_gpu_0(bed)[0] == "free"


def test_a_hidden_process_that_counts_is_named_to_everybody(ticking: Ticking) -> None:
    bed = ticking.bed
    shows(bed, PYTHON, hidden=False)
    ticking.tick()
    shows(bed, PYTHON, hidden=True)
    state, why = state_of_gpu_0(bed)
    assert state == "busy_outside"
    assert "python3 (pid 8)" in (why or "")


@pytest.mark.parametrize("seconds", [16 * 60, -60], ids=["long ago", "from the future"])
def test_what_a_tick_saw_at_another_time_says_nothing(ticking: Ticking, seconds: float) -> None:
    bed = ticking.bed
    shows(bed, XORG, hidden=False)
    ticking.tick()
    shows(bed, XORG, hidden=True)
    bed.clock.advance(seconds=seconds)
    assert state_of_gpu_0(bed)[0] == "busy_outside"


@pytest.mark.parametrize("other", [GpuProcess(9), GpuProcess(7, "trainer")], ids=["another process", "one with a name"])
def test_only_the_process_that_was_seen_gets_its_name(ticking: Ticking, other: GpuProcess) -> None:
    bed = ticking.bed
    shows(bed, XORG, hidden=False)
    ticking.tick()
    shows(bed, other, hidden=False)
    assert state_of_gpu_0(bed)[0] == "busy_outside"


@pytest.mark.parametrize(
    "content", ["", "[]", "{", "null", '{"at": 1}', '{"at": "2026-11-30T12:00:00Z", "slots": [1]}',
                '{"at": "2026-11-30T12:00:00Z", "slots": {"GPU-a": [{}]}}'],
)  # fmt: skip
def test_a_damaged_file_says_nothing(bed: Bed, content: str) -> None:
    shows(bed, XORG, hidden=True)
    (bed.state / "tick-processes.json").write_text(content)
    assert state_of_gpu_0(bed)[0] == "busy_outside"


def test_the_file_is_for_everybody_to_read_and_names_only_processes_on_gpus(ticking: Ticking) -> None:
    bed = ticking.bed
    shows(bed, XORG, GpuProcess(9), hidden=False)
    ticking.tick()
    path: Path = bed.state / "tick-processes.json"
    assert path.stat().st_mode & 0o777 == 0o644
    document: dict[str, Any] = json.loads(path.read_text())
    assert document["slots"] == {bed.uuid["0"]: [{"pid": 7, "name": "Xorg", "container": None}]}


def test_a_dry_run_and_simulated_gpus_leave_no_file(ticking: Ticking) -> None:
    ticking.tick()
    shows(ticking.bed, XORG, hidden=False)
    ticking.make(dry_run=True).run()
    assert not (ticking.bed.state / "tick-processes.json").exists()


def test_slots_without_a_process_list_stay_without(bed: Bed) -> None:
    whole: GpuObservation = bed.inventory.observe()
    slots = tuple(replace(slot, processes=None) for slot in whole.slots)
    bed.inventory = SimulatedInventory(replace(whole, slots=slots))
    bed.set_policy(bed.policy_text)
    assert {row.state for row in bed.gate.gpus(bed.actor("alice")).slots} == {"busy_outside"}
