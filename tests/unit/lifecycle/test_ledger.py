"""The files of the state directory: modes, times, locks, gpu-state.json."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

from ds01.errors import Busy, Ds01Error
from ds01.records.ledger import Ledger
from ds01.system import files, locks
from tests.harness import Harness, umask

ALICE_THESIS = "thesis._.70001"
GOLDEN = Path(__file__).with_name("golden_record.json")
RANDOM = ("id", "installation", "docker_id")


def modes(folder: Path) -> dict[str, set[int]]:
    """The modes of ds01's files and directories below the state directory."""
    own = [
        path for path in folder.rglob("*") if "simulated" not in str(path.relative_to(folder)) and path.name != "passwd"
    ]
    return {
        "files": {path.stat().st_mode & 0o7777 for path in own if path.is_file()},
        "folders": {path.stat().st_mode & 0o7777 for path in own if path.is_dir()},
    }


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
@pytest.mark.parametrize("shared", [False, True])
def test_modes_are_explicit_whatever_the_umask(fast_tmp: Path, mask: int, shared: bool) -> None:
    if shared and os.geteuid() != 0:
        pytest.skip("a folder of a group needs root")
    harness = Harness(fast_tmp / "bed", shared=70100 if shared else None)
    if not shared:
        harness.state.chmod(0o755)
    with umask(mask):
        gate = harness.another_gate()
        gate.create(harness.actor("alice"), harness.request("alice"))
        gate.create(harness.actor("bob"), harness.request("bob"))
        gate.remove(harness.actor("bob"), harness.full("bob"))
    wanted = {"files": {0o664}, "folders": {0o2775}} if shared else {"files": {0o644}, "folders": {0o755}}
    assert modes(harness.state) == wanted


def life(harness: Harness) -> None:
    alice = harness.actor("alice")
    harness.gate.create(alice, harness.request("alice", image="pytorch/pytorch:2.5", project="masters"))
    harness.clock.advance(minutes=1)
    harness.gate.start(alice, ALICE_THESIS)
    harness.clock.advance(hours=1, microseconds=5)
    harness.engine.kill(ALICE_THESIS, code=1)
    harness.clock.advance(minutes=5)
    harness.gate.reconcile(harness.actor("root"))


def normal(harness: Harness) -> str:
    """The record's file, with what is random and where the bed lies taken out."""
    text = harness.record_file("alice").read_text()
    content = json.loads(text)
    for key in RANDOM:
        text = text.replace(content[key], key.upper())
    return text.replace(str(harness.root), "/BED")


def test_the_record_is_as_it_always_was(harness: Harness) -> None:
    """What stands on disks out there. Is the change meant, change the file by hand, and think of the old ones."""
    life(harness)
    assert json.loads(normal(harness)) == json.loads(GOLDEN.read_text())


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/Los_Angeles"])
def test_records_and_times_are_the_same_in_every_zone(
    harness: Harness, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        life(harness)
        assert json.loads(normal(harness)) == json.loads(GOLDEN.read_text())
        record = harness.record("alice")
        assert record.stopped_at is not None
        assert record.held_until == record.stopped_at + timedelta(hours=24)
        assert harness.gate.containers(harness.actor("alice"))[0].state == "held"
        harness.clock.advance(hours=23)
        assert harness.gate.containers(harness.actor("alice"))[0].state == "held"
        picture = json.loads((harness.state / "gpu-state.json").read_text())
        assert picture["last_updated"] == "2026-11-30T13:06:00.000005Z"
        assert picture["allocations"][ALICE_THESIS]["stopped_at"] == "2026-11-30T13:01:00.000005Z"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_the_picture_shows_the_leases_and_is_never_read(harness: Harness) -> None:
    harness.gate.create(harness.actor("alice"), harness.request("alice", gpus=2))
    harness.gate.create(harness.actor("bob"), harness.request("bob", gpus=0))
    path = harness.state / "gpu-state.json"
    assert json.loads(path.read_text())["allocations"] == {
        ALICE_THESIS: {"user": "alice", "gpu_id": "1:0,1:1", "allocated_at": "2026-11-30T12:00:00Z", "priority": 10,
                "stopped_at": None},
    }  # fmt: skip
    path.write_text("nonsense")
    assert len(harness.another_gate().containers(harness.actor("alice"))) == 1
    path.unlink()
    path.mkdir()  # a gpu-state.json that cannot be written stops nobody
    assert harness.gate.create(harness.actor("carol"), harness.request("carol")).container.state == "created"


def test_a_removed_record_is_kept_beside_the_others_of_its_name(harness: Harness) -> None:
    for _ in range(3):  # at one and the same time, even
        harness.gate.create(harness.actor("alice"), harness.request("alice"))
        harness.gate.remove(harness.actor("alice"), ALICE_THESIS)
    assert len({record.id for record in harness.ledger.removed()}) == 3
    removed = harness.state / "container-metadata" / "removed"
    assert all(path.name.startswith(f"{ALICE_THESIS}.2026") for path in removed.iterdir())


def test_nothing_temporary_is_left(harness: Harness) -> None:
    life(harness)
    assert [path.name for path in harness.state.rglob("*") if path.name.startswith(".")] == []


def test_busy_error_names_the_lock_holder(harness: Harness) -> None:
    harness.gate.create(harness.actor("alice"), harness.request("alice"))
    lock = harness.state / "locks" / f"{ALICE_THESIS}.lock"
    script = (
        "import sys; from pathlib import Path; from ds01.system import locks\n"
        f"with locks.hold(Path({str(lock)!r}), wait=5, mode=0o644, doing='being stopped by alice'):\n"
        "    print('held', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        since = time.strftime("%H:%M")
        with (
            pytest.raises(Busy) as caught,
            harness.ledger.container_lock(ALICE_THESIS, doing="being looked at", wait=0),
        ):
            pass
        assert "being stopped by alice since " in caught.value.message
        assert since[:2] in caught.value.message
        assert caught.value.exit_code == 1
        assert not harness.ledger.container_lock_is_free(ALICE_THESIS)
        other.communicate()
    assert harness.ledger.container_lock_is_free(ALICE_THESIS)


def test_command_on_a_busy_container_raises_busy(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    harness.gate.create(harness.actor("alice"), harness.request("alice"))
    monkeypatch.setattr(Ledger.container_lock.__wrapped__, "__kwdefaults__", {"wait": 0.0})  # type: ignore[attr-defined]
    with harness.open_ledger().container_lock(ALICE_THESIS, doing="being stopped by alice", wait=0):
        for act in (harness.gate.start, harness.gate.stop, harness.gate.remove):
            with pytest.raises(Busy):
                act(harness.actor("alice"), ALICE_THESIS)
        with pytest.raises(Busy):
            harness.gate.create(harness.actor("alice"), harness.request("alice"))
        assert harness.gate.containers(harness.actor("alice"))[0].state == "created"


def test_two_threads_with_one_ledger_exclude_each_other(harness: Harness) -> None:
    inside, worst = 0, 0

    def work() -> None:
        nonlocal inside, worst
        for _ in range(20):
            with locks.hold(harness.state / "locks" / "x.lock", wait=30, mode=0o644):
                inside += 1
                worst = max(worst, inside)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert worst == 1


def test_unopenable_lock_is_not_reported_as_busy(harness: Harness) -> None:
    (harness.state / "locks" / "x.lock").mkdir()
    with pytest.raises(Ds01Error) as caught, locks.hold(harness.state / "locks" / "x.lock", wait=0, mode=0o644):
        pass
    assert not isinstance(caught.value, Busy)


def test_ledger_lock_is_never_held_across_engine_calls(harness: Harness) -> None:
    lock = harness.state / "locks" / "ledger.lock"
    asked = []

    class Watching:
        def __getattr__(self, name: str) -> object:
            method = getattr(harness.engine, name)

            def call(*args: object, **kwargs: object) -> object:
                asked.append(name)
                assert locks.is_free(lock), name
                return method(*args, **kwargs)

            return call

    gate = harness.another_gate(engine=Watching())  # type: ignore[arg-type]
    alice = harness.actor("alice")
    gate.create(alice, harness.request("alice"))
    gate.start(alice, ALICE_THESIS)
    gate.stop(alice, ALICE_THESIS, release=True)
    gate.start(alice, ALICE_THESIS, recreate=True)
    harness.record_file("alice").write_text("")
    gate.reconcile(alice)
    gate.remove(alice, ALICE_THESIS, force=True)
    gate.gpus(alice)
    assert {"create", "start", "stop", "remove", "containers", "inspect"} <= set(asked)


def test_a_link_a_device_and_a_large_file_are_not_read(fast_tmp: Path) -> None:
    (fast_tmp / "real").write_bytes(b"x")
    (fast_tmp / "link").symlink_to(fast_tmp / "real")
    (fast_tmp / "large").write_bytes(b"x" * (files.MAX_FILE_BYTES + 1))
    os.mkfifo(fast_tmp / "pipe")
    for name in ("link", "large", "pipe"):
        with pytest.raises(OSError):
            files.read(fast_tmp / name)
    assert files.read(fast_tmp / "real") == b"x"


def test_a_shared_file_has_its_mode_from_its_first_moment(fast_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    link = os.link

    def watched(source: Path, target: Path) -> None:
        seen.append(Path(source).stat().st_mode & 0o777)
        link(source, target)

    monkeypatch.setattr(os, "link", watched)
    with umask(0o077):
        os.close(files.open_shared(fast_tmp / "x.lock", os.O_RDWR, mode=0o664))
    assert seen == [0o664]
    assert [path.name for path in fast_tmp.iterdir()] == ["x.lock"]
