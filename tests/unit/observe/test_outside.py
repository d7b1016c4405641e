"""Use of GPUs outside ds01: all of it is shown, and told once when it begins and when it ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from ds01.api.seeing.operations import GetServerView
from ds01.api.seeing.server_view import OutsideView
from ds01.engines.protocol import Devices
from ds01.gpus.model import GpuProcess
from ds01.gpus.simulated import SimulatedInventory
from ds01.observe.server.complaints import find_complaints
from ds01.observe.server.outside import describe_in_full, describe_use, outside_views
from ds01.observe.server.process_owners import ProcessOwner, process_command
from ds01.placement.allocation_input import AllocationInput
from ds01.placement.outside_use import outside_uses
from ds01.policy.model import OutsideUse
from tests.harness import NOON, Harness
from tests.server_views import full_view
from tests.tick_harness import TickHarness
from tests.unit.gpus.factories import foreign_container, observe_gpus

JOB, OTHER = GpuProcess(4711, "python"), GpuProcess(4712, "java")
CONTAINER = "f" * 64


def views_of(*processes: GpuProcess, containers: bool = False) -> tuple[OutsideView, ...]:
    gpus = observe_gpus("1xA100,1xA100:3x2g.10gb")
    slots = tuple(replace(slot, processes=processes) if slot.slot == "1:1" else slot for slot in gpus.slots)
    gpus = replace(gpus, slots=slots)
    foreign = [foreign_container(devices=Devices(("1",), form="device_request"))] if containers else []
    uses = outside_uses(gpus, foreign, leased={}, outside=OutsideUse())
    inputs = AllocationInput(gpus, {}, [], NOON, uses=uses)
    return outside_views(inputs, lambda pid: ProcessOwner("dave", NOON), {4711: "python train.py"}.get)


def test_all_processes_on_a_slot_are_shown() -> None:
    shown = [(use.slot, use.what, use.who, use.user, use.pid, use.command) for use in views_of(JOB, OTHER)]
    assert shown == [
        ("1:1", "process", "python", "dave", 4711, "python train.py"),
        ("1:1", "process", "java", "dave", 4712, "java"),
    ]


def test_processes_replace_their_container_where_they_are_known() -> None:
    uses = views_of(replace(JOB, container=CONTAINER), containers=True)
    shown = [(use.slot, use.what, use.who, use.pid) for use in uses]
    assert shown == [
        ("1:0", "container", "jupyter", None),
        ("1:1", "container", "jupyter", 4711),
        ("1:2", "container", "jupyter", None),
    ]


def test_a_use_in_words() -> None:
    (use,) = views_of(JOB)
    assert describe_use(use) == "process python (pid 4711) of dave"
    assert describe_in_full(use) == f"{describe_use(use)} since 2026-11-30 12:00 UTC: python train.py"


def test_one_complaint_for_each_slot() -> None:
    view = full_view()
    uses = views_of(JOB, OTHER)
    complaints = find_complaints(
        NOON, tick=view.tick, gpus=view.gpus, slots=(), containers=(), outside=uses, disks=view.disks
    )
    assert complaints == ("1:1 is used outside ds01 by process python (pid 4711) of dave and 1 more",)


def test_a_command_line_is_words_and_has_an_end(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "cmdline").write_bytes(b"python\0train.py\0\xff" + b"x" * 5000 + b"\0")
    command = process_command(1, proc=tmp_path)
    assert command is not None
    assert command.startswith("python train.py �x")
    assert len(command) == 300
    assert process_command(2, proc=tmp_path) is None


def set_processes(harness: Harness, *processes: GpuProcess | None, slot: str = "0") -> None:
    """Let NVML report these processes on a slot; one None: it does not say."""
    known = None if None in processes else tuple(process for process in processes if process is not None)
    observation = harness.inventory.observe()
    slots = [replace(each, processes=known) if each.slot == slot else each for each in observation.slots]
    harness.inventory = SimulatedInventory(replace(observation, slots=tuple(slots)))


def told(harness: Harness) -> list[tuple[str, object, object]]:
    """Return the events of outside use since the last call."""
    found = [
        (kind.removeprefix("outside_"), event["who"], event["slots"])
        for kind, event in harness.events
        if kind.startswith("outside_")
    ]
    harness.events.clear()
    return found


def test_a_process_is_told_when_it_comes_and_when_it_goes(ticker: TickHarness) -> None:
    harness = ticker.harness
    set_processes(harness, JOB)
    ticker.tick(minutes=5)
    assert told(harness) == [("began", "python", ["0"])]
    ticker.tick(minutes=5)
    assert told(harness) == []
    set_processes(harness, OTHER)
    ticker.tick(minutes=5)
    assert told(harness) == [("ended", "python", ["0"]), ("began", "java", ["0"])]


def test_the_end_says_how_long_it_was(ticker: TickHarness) -> None:
    harness = ticker.harness
    set_processes(harness, JOB)
    ticker.tick(minutes=5)
    set_processes(harness)
    ticker.tick(hours=2)
    (event,) = [event for kind, event in harness.events if kind == "outside_ended"]
    assert event["seconds"] == timedelta(hours=2).total_seconds()
    assert event["actor"] == "observed"


def test_a_process_on_several_slots_is_one_event(ticker: TickHarness) -> None:
    harness = ticker.harness
    set_processes(harness, JOB)
    set_processes(harness, JOB, slot="1:1")
    ticker.tick(minutes=5)
    assert told(harness) == [("began", "python", ["0", "1:1"])]


def test_a_container_is_one_event_whatever_processes_it_has(ticker: TickHarness) -> None:
    harness = ticker.harness
    identity = harness.engine.add_foreign("jupyter", devices=Devices(("0",), form="device_request"))
    ticker.tick(minutes=5)
    assert told(harness) == [("began", "jupyter", ["0"])]
    set_processes(harness, replace(JOB, container=identity))
    ticker.tick(minutes=5)
    set_processes(harness, replace(OTHER, container=identity))
    ticker.tick(minutes=5)
    assert told(harness) == []
    harness.engine.kill("jupyter")
    set_processes(harness)
    ticker.tick(minutes=5)
    assert told(harness) == [("ended", "jupyter", ["0"])]


def test_no_answer_of_nvml_ends_nothing(ticker: TickHarness) -> None:
    harness = ticker.harness
    set_processes(harness, JOB)
    ticker.tick(minutes=5)
    told(harness)
    set_processes(harness, None)
    ticker.tick(minutes=5)
    assert told(harness) == []
    set_processes(harness, JOB)
    ticker.tick(minutes=5)
    assert told(harness) == []


def test_no_answer_of_docker_ends_nothing(ticker: TickHarness) -> None:
    harness = ticker.harness
    harness.engine.add_foreign("jupyter", devices=Devices(("0",), form="device_request"))
    ticker.tick(minutes=5)
    told(harness)
    harness.engine.set_answering(False)
    report = ticker.run_tick(minutes=5)
    assert report.errors
    assert told(harness) == []
    harness.engine.set_answering(True)
    ticker.tick(minutes=5)
    assert told(harness) == []


def test_ds01s_own_containers_are_not_told(ticker: TickHarness) -> None:
    harness = ticker.harness
    record = ticker.start_container()
    set_processes(harness, replace(JOB, container=record.docker_id), slot=record.slots[0])
    ticker.tick(minutes=5)
    assert told(harness) == []


def test_a_damaged_memory_tells_again_and_harms_nothing(ticker: TickHarness) -> None:
    harness = ticker.harness
    set_processes(harness, JOB)
    ticker.tick(minutes=5)
    told(harness)
    (harness.state / "tick-outside.json").write_text('{"uses": [{"what": 1}, 3]}')
    ticker.tick(minutes=5)
    assert told(harness) == [("began", "python", ["0"])]


def test_a_dry_run_tells_nothing(ticker: TickHarness) -> None:
    harness = ticker.harness
    set_processes(harness, JOB)
    ticker.make_tick(dry_run=True).run()
    assert told(harness) == []


def test_only_administrators_see_commands(harness: Harness) -> None:
    set_processes(harness, JOB)
    assert harness.gate.run(harness.actor("root"), GetServerView()).outside[0].command == "python"
    assert harness.gate.run(harness.actor("alice"), GetServerView()).outside[0].command is None
