"""Idleness in a whole sandbox: GPUs, the owner's `.keep-alive`, paused containers, unknown values."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from ds01.api.views import ContainerView
from ds01.automation import activity_observation
from ds01.cli.container.list import describe_next_action
from ds01.gpus.model import GpuObservation, GpuProcess
from ds01.gpus.simulated import SimulatedInventory
from tests.harness import Harness
from tests.tick_harness import TickHarness, actions_of, warnings_of

ALICE_THESIS = "thesis._.70001"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become others")


def idles(ticker: TickHarness, *, hours: float = 10) -> list[tuple[str, str]]:
    """What two ticks do after so many hours of nothing."""
    ticker.tick(hours=hours)
    return actions_of(ticker.tick(minutes=5))


def workspace(harness: Harness, login: str = "alice") -> Path:
    return harness.home(login) / "workspace" / "thesis"


def keep(harness: Harness, *, age: float = 0.0) -> Path:
    path = workspace(harness) / ".keep-alive"
    path.touch()
    when = harness.clock().timestamp() - age
    os.utime(path, (when, when))
    return path


# GPUs


def on_gpus(ticker: TickHarness, *pids: int | None, percent: float | None = 0.0) -> None:
    """Processes of alice's container on every slot, and the utilisation of every GPU; None: NVML does not say."""
    harness = ticker.harness
    seen: GpuObservation = harness.inventory.observe()
    identity = harness.record("alice").docker_id
    processes = None if None in pids else tuple(GpuProcess(pid, "python", identity, 1 << 34) for pid in pids if pid)
    leased = set(harness.leased())
    slots = tuple(
        replace(slot, processes=processes, memory_used_bytes=1 << 34) if slot.uuid in leased else slot
        for slot in seen.slots
    )
    gpus = tuple(replace(gpu, utilisation_percent=percent, memory_used_bytes=1 << 34) for gpu in seen.gpus)
    harness.inventory = SimulatedInventory(replace(seen, slots=slots, gpus=gpus))


def test_an_old_gpu_process_with_its_memory_proves_nothing(ticker: TickHarness) -> None:
    ticker.start_container()
    on_gpus(ticker, 4711)
    ticker.tick(minutes=5)
    assert idles(ticker) == [("thesis", "stop")]


def test_a_new_gpu_process_is_activity(ticker: TickHarness) -> None:
    ticker.start_container()
    on_gpus(ticker, 4711)
    ticker.tick(hours=9)
    on_gpus(ticker, 4711, 4712)
    ticker.tick(minutes=5)
    assert ticker.harness.record("alice").activity["why"] == "a new GPU process (4712)"
    assert idles(ticker, hours=9) == []


def test_gpu_process_of_another_container_does_not_count(ticker: TickHarness) -> None:
    ticker.start_container()
    harness = ticker.harness
    seen = harness.inventory.observe()
    slots = tuple(replace(slot, processes=(GpuProcess(99, "foreign", "f" * 64),)) for slot in seen.slots)
    harness.inventory = SimulatedInventory(replace(seen, slots=slots))
    assert idles(ticker) == [("thesis", "stop")]


def test_gpu_load_is_activity_but_unknown_on_mig(ticker: TickHarness) -> None:
    harness = ticker.harness
    harness.set_policy("defaults: {idle_timeout: 10h}\ngpu_allocation: {prefer: full}\n")
    ticker.start_container()
    assert harness.record("alice").slots == ("0",)
    on_gpus(ticker, percent=50.0)
    assert idles(ticker) == []
    on_gpus(ticker, percent=None)
    assert idles(ticker) == [("thesis", "stop")]
    harness.set_policy("defaults: {idle_timeout: 10h}\ngpu_allocation: {prefer: mig}\n")
    ticker.start_container("bob")
    assert harness.record("bob").slots == ("1:0",)
    on_gpus_of_all = replace(
        harness.inventory.observe(),
        gpus=tuple(replace(gpu, utilisation_percent=99.0) for gpu in harness.inventory.observe().gpus),
    )
    harness.inventory = SimulatedInventory(on_gpus_of_all)
    assert idles(ticker) == [("thesis", "stop")]


def test_unknown_gpu_processes_and_network_do_not_prevent_it(ticker: TickHarness) -> None:
    ticker.start_container()
    on_gpus(ticker, None, percent=None)
    ticker.set_cpu_time(0, network=None)
    assert idles(ticker) == [("thesis", "stop")]


def test_unknown_cpu_prevents_it_and_is_said(ticker: TickHarness) -> None:
    ticker.start_container()
    ticker.tick(hours=9)
    ticker.set_cpu_time(None)
    report = ticker.tick(hours=2)
    assert (actions_of(report), warnings_of(report)) == ([], [])
    assert [(item.action, item.why) for item in report.unknown] == [("activity", "its CPU time cannot be read")]
    assert idles(ticker, hours=50) == []
    ticker.set_cpu_time(0)
    assert actions_of(ticker.tick(minutes=5)) == [("thesis", "stop")]  # it was warned of this very deadline


def test_unobserved_work_is_not_idleness(ticker: TickHarness) -> None:
    harness = ticker.harness
    for login in ("alice", "bob"):
        harness.gate.create(harness.actor(login), harness.request(login))
        harness.gate.start(harness.actor(login), harness.full(login))
    ticker.set_cpu_time(None, login="bob")
    harness.clock.advance(hours=1)
    ticker.make_tick().run()
    # Alice's is sampled for the first time after three days, bob's can be read for the first time.
    harness.gate.stop(harness.actor("alice"), harness.full("alice"))
    harness.gate.start(harness.actor("alice"), harness.full("alice"))
    harness.clock.advance(hours=60)
    for login in ("alice", "bob"):
        ticker.set_cpu_time(60 * 3600, login=login)
    for _ in range(3):
        report = ticker.tick(minutes=5)
        assert (warnings_of(report), actions_of(report)) == ([], [])


def test_load_between_distant_ticks_restarts_idle_time(ticker: TickHarness) -> None:
    ticker.start_container()
    ticker.tick(hours=8)
    assert ticker.take_notice_kinds() == ["idle"]
    ticker.set_cpu_time(300)
    assert idles(ticker) == []
    assert ticker.take_notices() == []
    assert idles(ticker, hours=8) == []
    assert ticker.take_notice_kinds() == ["idle"]


def test_a_warning_does_not_outlast_a_long_time_without_a_tick(ticker: TickHarness) -> None:
    ticker.start_container()
    assert warnings_of(ticker.tick(hours=9)) == [("thesis", "idle")]
    report = ticker.tick(hours=10)
    assert (warnings_of(report), actions_of(report)) == ([("thesis", "idle")], [])
    assert actions_of(ticker.tick(minutes=5)) == [("thesis", "stop")]


def test_network_counts(ticker: TickHarness) -> None:
    ticker.start_container()
    ticker.set_cpu_time(0, network=10_000 * 1024 * 3600)
    assert idles(ticker, hours=10) == []


def test_restart_outside_ds01_resets_idle_time(ticker: TickHarness) -> None:
    harness = ticker.harness
    ticker.start_container()
    ticker.tick(hours=9)
    harness.engine.kill(ALICE_THESIS)
    harness.clock.advance(seconds=1)
    harness.engine.start(ALICE_THESIS)
    ticker.tick(seconds=1)
    assert actions_of(ticker.tick(hours=2)) == []
    assert harness.record("alice").warnings == {}


# what was known and is lost


def test_unreadable_stored_activity_does_not_count_from_the_start(ticker: TickHarness) -> None:
    harness = ticker.harness
    ticker.start_container()
    for hour in range(1, 40):
        ticker.set_cpu_time(3600 * hour)
        ticker.tick(hours=1)
    record = harness.record("alice")
    for spoilt in ({"of": "another form"}, {"last": "yesterday"}, {"last": record.activity["last"], "new": 1}):
        with harness.ledger.transaction() as ledger:
            ledger.commit(replace(harness.record("alice"), activity=spoilt), now=harness.clock())
        ticker.tick(minutes=5)
        assert warnings_of(ticker.tick(minutes=5)) == []


def test_a_record_that_was_rebuilt_counts_from_then(ticker: TickHarness) -> None:
    harness = ticker.harness
    ticker.start_container()
    ticker.set_cpu_time(3600 * 100)
    ticker.tick(hours=100)
    harness.record_file("alice").write_bytes(b"")
    ticker.run_tick(minutes=5)
    for _ in range(3):
        assert warnings_of(ticker.tick(minutes=5)) == []


# paused


def test_a_paused_containers_idle_time_goes_on(ticker: TickHarness) -> None:
    """Also if its last sample before the pause was active."""
    harness = ticker.harness
    ticker.start_container()
    ticker.set_cpu_time(600)
    ticker.tick(minutes=5)
    assert harness.record("alice").activity["state"] == "active"
    harness.gate.pause(harness.actor("alice"), ALICE_THESIS)
    assert idles(ticker) == [("thesis", "stop")]
    assert harness.record("alice").paused is False


# .keep-alive


def test_keep_alive_holds_off_the_warning_and_the_stop(ticker: TickHarness) -> None:
    ticker.start_container()
    path = keep(ticker.harness)
    assert idles(ticker, hours=100) == []
    assert ticker.take_notices() == []
    path.unlink()
    assert idles(ticker, hours=0.1) == [("thesis", "stop")]  # warned, and then stopped


def test_keep_alive_does_not_hold_off_max_runtime(ticker: TickHarness) -> None:
    ticker.harness.set_policy("defaults: {max_runtime: 5h, idle_timeout: 1h}\n")
    ticker.start_container()
    keep(ticker.harness)
    assert idles(ticker) == [("thesis", "stop")]
    assert ticker.harness.record("alice").history[-1].why == "max_runtime"


def test_keep_alive_counts_for_keep_alive_max_from_its_time(ticker: TickHarness) -> None:
    harness = ticker.harness
    harness.set_policy("defaults: {idle_timeout: 10h}\npolicies: {keep_alive_max: 24h}\n")
    ticker.start_container()
    keep(harness)
    assert idles(ticker, hours=20) == []
    assert idles(ticker, hours=5) == [("thesis", "stop")]


def test_a_keep_alive_from_the_future_is_as_old_as_the_file(ticker: TickHarness) -> None:
    harness = ticker.harness
    harness.set_policy("defaults: {idle_timeout: 10h}\npolicies: {keep_alive_max: 24h}\n")
    harness.clock.time = harness.clock.time.now(harness.clock.time.tzinfo)  # the file's change is stamped by the kernel
    ticker.start_container()
    keep(harness, age=-86400 * 365)
    assert idles(ticker, hours=20) == []
    assert idles(ticker, hours=10) == [("thesis", "stop")]


@as_root
def test_unreadable_workspace_prevents_the_idle_stop(ticker: TickHarness) -> None:
    harness = ticker.harness
    ticker.start_container()
    folder = workspace(harness)
    os.chown(folder, 0, 0)
    folder.chmod(0o700)
    report = ticker.tick(hours=30)
    assert (actions_of(report), warnings_of(report)) == ([], [])
    assert [(item.action, item.why) for item in report.unknown] == [("keep-alive", "its workspace cannot be read")]
    ticker.tick(minutes=5)
    assert ticker.state() == "running"
    os.chown(folder, 70001, 70001)
    assert idles(ticker) == [("thesis", "stop")]


def test_a_workspace_that_is_gone_is_unknown(ticker: TickHarness) -> None:
    ticker.start_container()
    workspace(ticker.harness).rmdir()
    assert idles(ticker, hours=50) == []


def test_a_workspace_that_is_gone_for_a_day_is_deleted(ticker: TickHarness) -> None:
    ticker.start_container()
    workspace(ticker.harness).rmdir()
    report = ticker.tick(hours=10)
    assert [(item.action, item.why) for item in report.unknown] == [
        ("keep-alive", "its workspace is gone, or not mounted")
    ]
    assert idles(ticker, hours=23) == []
    assert idles(ticker, hours=1) == [("thesis", "stop")]


def test_a_workspace_that_comes_back_is_not_deleted(ticker: TickHarness) -> None:
    """As after a late mount; the day starts again."""
    ticker.start_container()
    workspace(ticker.harness).rmdir()
    ticker.tick(hours=10)
    workspace(ticker.harness).mkdir()
    path = keep(ticker.harness)
    ticker.tick(hours=20)
    path.unlink()
    workspace(ticker.harness).rmdir()
    assert idles(ticker, hours=20) == []


def shown(ticker: TickHarness) -> ContainerView:
    harness = ticker.harness
    (found,) = harness.another_gate().listing(harness.actor("alice"), owner=70001).containers
    return found


def test_a_list_says_what_keep_alive_keeps(ticker: TickHarness) -> None:
    harness = ticker.harness
    ticker.start_container()
    path = keep(harness)
    ticker.tick(hours=12)
    view = shown(ticker)
    assert (view.kept_alive, view.deadline, describe_next_action(view, harness.clock())) == (
        True,
        None,
        "kept by .keep-alive",
    )
    path.unlink()
    ticker.tick(minutes=5)
    view = shown(ticker)
    assert (view.kept_alive, describe_next_action(view, harness.clock())) == (False, "idle stop is due")


def test_a_kept_container_still_shows_its_runtime(ticker: TickHarness) -> None:
    harness = ticker.harness
    harness.set_policy("defaults: {idle_timeout: 1h, max_runtime: 100h}\n")
    ticker.start_container()
    keep(harness)
    ticker.tick(hours=12)
    view = shown(ticker)
    assert view.deadline is not None
    assert (view.kept_alive, view.deadline.because) == (True, "runtime")


def test_list_shows_idle_time_of_idle_containers_only(ticker: TickHarness) -> None:
    harness = ticker.harness
    ticker.start_container()
    assert shown(ticker).idle_since is None  # still unknown
    ticker.tick(hours=2)
    assert shown(ticker).idle_since == harness.record("alice").started_at  # it never did anything
    ticker.set_cpu_time(3600)
    ticker.tick(minutes=5)
    assert shown(ticker).idle_since is None  # it works
    worked = harness.clock()
    ticker.tick(hours=1)
    assert shown(ticker).idle_since == worked


def test_a_keep_alive_that_is_a_link_to_nowhere_is_there(ticker: TickHarness) -> None:
    ticker.start_container()
    (workspace(ticker.harness) / ".keep-alive").symlink_to("/nowhere/at/all")
    assert idles(ticker) == []


@as_root
def test_keep_alive_is_read_with_the_owners_rights(ticker: TickHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    ticker.start_container()
    said = ticker.harness.root / "who"
    said.touch()
    said.chmod(0o666)

    def age(folder: str) -> str:
        said.write_text(
            f"{os.getuid()} {os.geteuid()} {os.getgid()} {os.getgroups()} {len(os.listdir('/proc/self/fd'))}"
        )
        return "absent"

    monkeypatch.setattr(activity_observation, "_read_keep_alive_file", age)
    ticker.tick(hours=10)
    # Its own files: the three standard ones, the pipe, and the one that lists them.
    assert said.read_text() == "70001 70001 70001 [70001] 5"


def test_a_home_that_does_not_answer_is_unknown(ticker: TickHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    ticker.start_container()
    monkeypatch.setattr(activity_observation, "run_as_uid", lambda *args, **more: None)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert idles(ticker) == []
