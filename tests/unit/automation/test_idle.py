"""What the tick takes for idle on a whole bed: GPUs, the owner's `.keep-alive`, paused containers, what is unknown."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from ds01.api.views import ContainerView
from ds01.automation import observe
from ds01.cli.container.list import describe_next_action
from ds01.gpus.model import GpuObservation, GpuProcess
from ds01.gpus.simulated import SimulatedInventory
from tests.bed import Bed
from tests.ticking import Ticking, acted, warned

ALICE = "thesis._.70001"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become others")


def idles(ticking: Ticking, *, hours: float = 10) -> list[tuple[str, str]]:
    """What two ticks do after so many hours of nothing."""
    ticking.tick(hours=hours)
    return acted(ticking.tick(minutes=5))


def workspace(bed: Bed, login: str = "alice") -> Path:
    return bed.home(login) / "workspace" / "thesis"


def keep(bed: Bed, *, age: float = 0.0) -> Path:
    path = workspace(bed) / ".keep-alive"
    path.touch()
    when = bed.clock().timestamp() - age
    os.utime(path, (when, when))
    return path


# GPUs


def on_gpus(ticking: Ticking, *pids: int | None, percent: float | None = 0.0) -> None:
    """Processes of alice's container on every slot, and the utilisation of every GPU; None: NVML does not say."""
    bed = ticking.bed
    seen: GpuObservation = bed.inventory.observe()
    identity = bed.record("alice").docker_id
    processes = None if None in pids else tuple(GpuProcess(pid, "python", identity, 1 << 34) for pid in pids if pid)
    leased = set(bed.leased())
    slots = tuple(
        replace(slot, processes=processes, memory_used_bytes=1 << 34) if slot.uuid in leased else slot
        for slot in seen.slots
    )
    gpus = tuple(replace(gpu, utilisation_percent=percent, memory_used_bytes=1 << 34) for gpu in seen.gpus)
    bed.inventory = SimulatedInventory(replace(seen, slots=slots, gpus=gpus))


def test_an_old_gpu_process_with_its_memory_proves_nothing(ticking: Ticking) -> None:
    ticking.runs()
    on_gpus(ticking, 4711)
    ticking.tick(minutes=5)
    assert idles(ticking) == [("thesis", "stop")]


def test_a_new_gpu_process_is_activity(ticking: Ticking) -> None:
    ticking.runs()
    on_gpus(ticking, 4711)
    ticking.tick(hours=9)
    on_gpus(ticking, 4711, 4712)
    ticking.tick(minutes=5)
    assert ticking.bed.record("alice").activity["why"] == "a new GPU process (4712)"
    assert idles(ticking, hours=9) == []


def test_somebody_elses_gpu_process_is_not_its_own(ticking: Ticking) -> None:
    ticking.runs()
    bed = ticking.bed
    seen = bed.inventory.observe()
    slots = tuple(replace(slot, processes=(GpuProcess(99, "foreign", "f" * 64),)) for slot in seen.slots)
    bed.inventory = SimulatedInventory(replace(seen, slots=slots))
    assert idles(ticking) == [("thesis", "stop")]


def test_a_busy_gpu_is_activity_and_on_a_mig_instance_it_is_unknown(ticking: Ticking) -> None:
    bed = ticking.bed
    bed.set_policy("defaults: {idle_timeout: 10h}\ngpu_allocation: {prefer: full}\n")
    ticking.runs()
    assert bed.record("alice").slots == ("0",)
    on_gpus(ticking, percent=50.0)
    assert idles(ticking) == []
    on_gpus(ticking, percent=None)
    assert idles(ticking) == [("thesis", "stop")]
    bed.set_policy("defaults: {idle_timeout: 10h}\ngpu_allocation: {prefer: mig}\n")
    ticking.runs("bob")
    assert bed.record("bob").slots == ("1:0",)
    on_gpus_of_all = replace(
        bed.inventory.observe(),
        gpus=tuple(replace(gpu, utilisation_percent=99.0) for gpu in bed.inventory.observe().gpus),
    )
    bed.inventory = SimulatedInventory(on_gpus_of_all)
    assert idles(ticking) == [("thesis", "stop")]


def test_unknown_gpu_processes_and_network_do_not_prevent_it(ticking: Ticking) -> None:
    ticking.runs()
    on_gpus(ticking, None, percent=None)
    ticking.works(0, network=None)
    assert idles(ticking) == [("thesis", "stop")]


def test_unknown_cpu_prevents_it_and_is_said(ticking: Ticking) -> None:
    ticking.runs()
    ticking.tick(hours=9)
    ticking.works(None)
    report = ticking.tick(hours=2)
    assert (acted(report), warned(report)) == ([], [])
    assert [(item.action, item.why) for item in report.unknown] == [("activity", "its CPU time cannot be read")]
    assert idles(ticking, hours=50) == []
    ticking.works(0)
    assert acted(ticking.tick(minutes=5)) == [("thesis", "stop")]  # it was warned of this very deadline


def test_what_worked_while_no_tick_ran_or_nobody_could_read_it_was_not_idle(ticking: Ticking) -> None:
    bed = ticking.bed
    for login in ("alice", "bob"):
        bed.gate.create(bed.actor(login), bed.request(login))
        bed.gate.start(bed.actor(login), bed.full(login))
    ticking.works(None, login="bob")
    bed.clock.advance(hours=1)
    ticking.make().run()
    # Alice's is looked at for the first time after three days, bob's can be read for the first time.
    bed.gate.stop(bed.actor("alice"), bed.full("alice"))
    bed.gate.start(bed.actor("alice"), bed.full("alice"))
    bed.clock.advance(hours=60)
    for login in ("alice", "bob"):
        ticking.works(60 * 3600, login=login)
    for _ in range(3):
        report = ticking.tick(minutes=5)
        assert (warned(report), acted(report)) == ([], [])


def test_five_minutes_of_load_while_no_tick_ran_for_ten_hours_begin_a_new_idle_time(ticking: Ticking) -> None:
    ticking.runs()
    ticking.tick(hours=8)
    assert ticking.kinds() == ["idle"]
    ticking.works(300)
    assert idles(ticking) == []
    assert ticking.post() == []
    assert idles(ticking, hours=8) == []
    assert ticking.kinds() == ["idle"]


def test_a_warning_does_not_outlast_a_long_time_without_a_tick(ticking: Ticking) -> None:
    ticking.runs()
    assert warned(ticking.tick(hours=9)) == [("thesis", "idle")]
    report = ticking.tick(hours=10)
    assert (warned(report), acted(report)) == ([("thesis", "idle")], [])
    assert acted(ticking.tick(minutes=5)) == [("thesis", "stop")]


def test_network_counts(ticking: Ticking) -> None:
    ticking.runs()
    ticking.works(0, network=10_000 * 1024 * 3600)
    assert idles(ticking, hours=10) == []


def test_a_restart_behind_ds01_begins_anew(ticking: Ticking) -> None:
    bed = ticking.bed
    ticking.runs()
    ticking.tick(hours=9)
    bed.engine.kill(ALICE)
    bed.clock.advance(seconds=1)
    bed.engine.start(ALICE)
    ticking.tick(seconds=1)
    assert acted(ticking.tick(hours=2)) == []
    assert bed.record("alice").warnings == {}


# what was known and is lost


def test_activity_that_cannot_be_read_any_more_does_not_count_from_the_start(ticking: Ticking) -> None:
    bed = ticking.bed
    ticking.runs()
    for hour in range(1, 40):
        ticking.works(3600 * hour)
        ticking.tick(hours=1)
    record = bed.record("alice")
    for spoilt in ({"of": "another form"}, {"last": "yesterday"}, {"last": record.activity["last"], "new": 1}):
        with bed.ledger.transaction() as ledger:
            ledger.commit(replace(bed.record("alice"), activity=spoilt), now=bed.clock())
        ticking.tick(minutes=5)
        assert warned(ticking.tick(minutes=5)) == []


def test_a_record_that_was_rebuilt_counts_from_then(ticking: Ticking) -> None:
    bed = ticking.bed
    ticking.runs()
    ticking.works(3600 * 100)
    ticking.tick(hours=100)
    bed.record_file("alice").write_bytes(b"")
    ticking.any_tick(minutes=5)
    for _ in range(3):
        assert warned(ticking.tick(minutes=5)) == []


# paused


def test_a_paused_containers_idle_time_goes_on(ticking: Ticking) -> None:
    """Also if its last look before the pause saw it at work."""
    bed = ticking.bed
    ticking.runs()
    ticking.works(600)
    ticking.tick(minutes=5)
    assert bed.record("alice").activity["state"] == "active"
    bed.gate.pause(bed.actor("alice"), ALICE)
    assert idles(ticking) == [("thesis", "stop")]
    assert bed.record("alice").paused is False


# .keep-alive


def test_keep_alive_holds_off_the_warning_and_the_stop(ticking: Ticking) -> None:
    ticking.runs()
    path = keep(ticking.bed)
    assert idles(ticking, hours=100) == []
    assert ticking.post() == []
    path.unlink()
    assert idles(ticking, hours=0.1) == [("thesis", "stop")]  # warned, and then stopped


def test_keep_alive_does_not_hold_off_max_runtime(ticking: Ticking) -> None:
    ticking.bed.set_policy("defaults: {max_runtime: 5h, idle_timeout: 1h}\n")
    ticking.runs()
    keep(ticking.bed)
    assert idles(ticking) == [("thesis", "stop")]
    assert ticking.bed.record("alice").history[-1].why == "max_runtime"


def test_keep_alive_counts_for_keep_alive_max_from_its_time(ticking: Ticking) -> None:
    bed = ticking.bed
    bed.set_policy("defaults: {idle_timeout: 10h}\npolicies: {keep_alive_max: 24h}\n")
    ticking.runs()
    keep(bed)
    assert idles(ticking, hours=20) == []
    assert idles(ticking, hours=5) == [("thesis", "stop")]


def test_a_keep_alive_from_the_future_is_as_old_as_the_file(ticking: Ticking) -> None:
    bed = ticking.bed
    bed.set_policy("defaults: {idle_timeout: 10h}\npolicies: {keep_alive_max: 24h}\n")
    bed.clock.time = bed.clock.time.now(bed.clock.time.tzinfo)  # the file's change is stamped by the kernel
    ticking.runs()
    keep(bed, age=-86400 * 365)
    assert idles(ticking, hours=20) == []
    assert idles(ticking, hours=10) == [("thesis", "stop")]


@as_root
def test_a_workspace_that_its_owner_cannot_read_is_unknown_and_nothing_is_stopped(ticking: Ticking) -> None:
    bed = ticking.bed
    ticking.runs()
    folder = workspace(bed)
    os.chown(folder, 0, 0)
    folder.chmod(0o700)
    report = ticking.tick(hours=30)
    assert (acted(report), warned(report)) == ([], [])
    assert [(item.action, item.why) for item in report.unknown] == [("keep-alive", "its workspace cannot be read")]
    ticking.tick(minutes=5)
    assert ticking.state() == "running"
    os.chown(folder, 70001, 70001)
    assert idles(ticking) == [("thesis", "stop")]


def test_a_workspace_that_is_gone_is_unknown(ticking: Ticking) -> None:
    ticking.runs()
    workspace(ticking.bed).rmdir()
    assert idles(ticking, hours=50) == []


def test_a_workspace_that_is_gone_for_a_day_is_deleted(ticking: Ticking) -> None:
    ticking.runs()
    workspace(ticking.bed).rmdir()
    report = ticking.tick(hours=10)
    assert [(item.action, item.why) for item in report.unknown] == [
        ("keep-alive", "its workspace is gone, or not mounted")
    ]
    assert idles(ticking, hours=23) == []
    assert idles(ticking, hours=1) == [("thesis", "stop")]


def test_a_workspace_that_comes_back_is_not_deleted(ticking: Ticking) -> None:
    """As after a mount that came late; the day counts anew."""
    ticking.runs()
    workspace(ticking.bed).rmdir()
    ticking.tick(hours=10)
    workspace(ticking.bed).mkdir()
    path = keep(ticking.bed)
    ticking.tick(hours=20)
    path.unlink()
    workspace(ticking.bed).rmdir()
    assert idles(ticking, hours=20) == []


def shown(ticking: Ticking) -> ContainerView:
    bed = ticking.bed
    (found,) = bed.another_gate().listing(bed.actor("alice"), owner=70001).containers
    return found


def test_a_list_says_what_keep_alive_keeps(ticking: Ticking) -> None:
    bed = ticking.bed
    ticking.runs()
    path = keep(bed)
    ticking.tick(hours=12)
    view = shown(ticking)
    assert (view.kept_alive, view.deadline, describe_next_action(view, bed.clock())) == (
        True,
        None,
        "kept by .keep-alive",
    )
    path.unlink()
    ticking.tick(minutes=5)
    view = shown(ticking)
    assert (view.kept_alive, describe_next_action(view, bed.clock())) == (False, "idle stop is due")


def test_a_kept_container_still_shows_its_runtime(ticking: Ticking) -> None:
    bed = ticking.bed
    bed.set_policy("defaults: {idle_timeout: 1h, max_runtime: 100h}\n")
    ticking.runs()
    keep(bed)
    ticking.tick(hours=12)
    view = shown(ticking)
    assert view.deadline is not None
    assert (view.kept_alive, view.deadline.because) == (True, "runtime")


def test_idle_time_is_shown_of_what_does_nothing_and_of_nothing_else(ticking: Ticking) -> None:
    bed = ticking.bed
    ticking.runs()
    assert shown(ticking).idle_since is None  # nobody can tell yet
    ticking.tick(hours=2)
    assert shown(ticking).idle_since == bed.record("alice").started_at  # it never did anything
    ticking.works(3600)
    ticking.tick(minutes=5)
    assert shown(ticking).idle_since is None  # it works
    worked = bed.clock()
    ticking.tick(hours=1)
    assert shown(ticking).idle_since == worked


def test_a_keep_alive_that_is_a_link_to_nowhere_is_there(ticking: Ticking) -> None:
    ticking.runs()
    (workspace(ticking.bed) / ".keep-alive").symlink_to("/nowhere/at/all")
    assert idles(ticking) == []


@as_root
def test_it_is_looked_up_with_the_owners_rights(ticking: Ticking, monkeypatch: pytest.MonkeyPatch) -> None:
    ticking.runs()
    said = ticking.bed.root / "who"
    said.touch()
    said.chmod(0o666)

    def age(folder: str) -> str:
        said.write_text(
            f"{os.getuid()} {os.geteuid()} {os.getgid()} {os.getgroups()} {len(os.listdir('/proc/self/fd'))}"
        )
        return "absent"

    monkeypatch.setattr(observe, "_age", age)
    ticking.tick(hours=10)
    # Its own files: the three standard ones, the pipe, and the one that lists them.
    assert said.read_text() == "70001 70001 70001 [70001] 5"


def test_a_home_that_does_not_answer_is_unknown(ticking: Ticking, monkeypatch: pytest.MonkeyPatch) -> None:
    ticking.runs()
    monkeypatch.setattr(observe, "run_as_uid", lambda *args, **more: None)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert idles(ticking) == []
