"""The machine's facts, read from a test directory in place of the kernel's and the system's files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from ds01.errors import Ds01Error
from ds01.host import machine_facts
from ds01.host.checks.facts import CronJob, Link
from ds01.host.machine_facts import SystemRoots
from ds01.host.systemd import Systemd
from ds01.system import programs
from ds01.system.disks import read_disks

NOBODY_RUNS = Systemd(lambda arguments: _fail(arguments))


def _fail(arguments: Sequence[str]) -> str:
    raise Ds01Error(f"{arguments[0]} failed with code 3")


@pytest.fixture
def roots(tmp_path: Path) -> SystemRoots:
    """A machine that has nothing."""
    for name in ("dev/char", "proc", "sys"):
        (tmp_path / name).mkdir(parents=True)
    return SystemRoots(tmp_path / "dev", tmp_path / "proc", tmp_path / "sys", tmp_path / "cron", tmp_path / "docker")


def process(roots: SystemRoots, pid: int, name: str) -> None:
    (roots.proc / str(pid)).mkdir()
    (roots.proc / str(pid) / "comm").write_text(f"{name}\n")


# cron


@pytest.mark.parametrize("name", ["cron", "crond", "bcron-sched", "fcron"])
def test_the_daemon_of_any_cron_counts(roots: SystemRoots, name: str) -> None:
    process(roots, 1, "systemd")
    process(roots, 7, name)
    assert machine_facts.read_cron(roots, NOBODY_RUNS).running is True


def test_the_target_of_systemd_cron_counts(roots: SystemRoots) -> None:
    asked: list[Sequence[str]] = []

    def run(arguments: Sequence[str]) -> str:
        asked.append(arguments)
        return ""

    process(roots, 1, "systemd")
    assert machine_facts.read_cron(roots, Systemd(run)).running is True
    assert asked[0][:2] == ["systemctl", "is-active"] and "cron.target" in asked[0]


@pytest.mark.parametrize(("euid", "running"), [(0, False), (70001, None)])
def test_no_other_process_counts_and_only_root_can_tell(
    roots: SystemRoots, monkeypatch: pytest.MonkeyPatch, euid: int, running: bool | None
) -> None:
    for pid, name in enumerate(("systemd", "dockerd", "cronie-helper", "acron"), start=1):
        process(roots, pid, name)
    (roots.proc / "self").mkdir()
    (roots.proc / "self" / "comm").write_text("cron\n")
    monkeypatch.setattr(os, "geteuid", lambda: euid)
    assert machine_facts.read_cron(roots, NOBODY_RUNS).running is running


def test_the_entry_is_read_with_mode_and_owner(roots: SystemRoots) -> None:
    process(roots, 7, "cron")
    assert machine_facts.read_cron(roots, NOBODY_RUNS) == CronJob(str(roots.cron), running=True)
    roots.cron.write_text("* * * * * root ds01 tick\n")
    roots.cron.chmod(0o640)
    expected = CronJob(str(roots.cron), 0o640, os.geteuid(), "* * * * * root ds01 tick\n", True)
    assert machine_facts.read_cron(roots, NOBODY_RUNS) == expected


# disks


def test_disks_are_those_of_existing_directories(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    space = os.statvfs(tmp_path)
    (found,) = read_disks({tmp_path / "state": "state", tmp_path / "gone": "nothing", tmp_path: "log"})
    assert (found.path, found.holds) == (str(tmp_path / "state"), ("state", "log")), "one disk, found twice"
    assert found.total_bytes == space.f_blocks * space.f_frsize > found.free_bytes > 0
    assert found.total_files == space.f_files
    assert read_disks({tmp_path / "gone": "nothing"}) == ()


def test_each_disk_is_found(tmp_path: Path) -> None:
    found = read_disks({tmp_path: "state", Path("/proc"): "Docker's data"})
    assert [(disk.path, disk.holds) for disk in found] == [(str(tmp_path), ("state",)), ("/proc", ("Docker's data",))]


# the kernel


def card(roots: SystemRoots, slot: str, vendor: str, kind: str) -> None:
    folder = roots.sys / "bus" / "pci" / "devices" / slot
    folder.mkdir(parents=True)
    (folder / "vendor").write_text(f"{vendor}\n")
    (folder / "class").write_text(f"{kind}\n")


def test_nvidias_graphics_and_3d_cards_are_counted(roots: SystemRoots) -> None:
    assert machine_facts.read_kernel(roots).nvidia_cards == 0
    card(roots, "0000:01:00.0", "0x10de", "0x030200")  # a 3D controller
    card(roots, "0000:02:00.0", "0x10de", "0x030000")  # a VGA controller
    card(roots, "0000:02:00.1", "0x10de", "0x040300")  # its sound
    card(roots, "0000:03:00.0", "0x8086", "0x030000")  # somebody else's
    assert machine_facts.read_kernel(roots).nvidia_cards == 2


@pytest.mark.parametrize(("meminfo", "swap"), [("SwapTotal:       8 kB\n", 8192), ("SwapTotal: 0 kB\n", 0), ("", 0)])
def test_swap_is_counted_in_bytes(roots: SystemRoots, meminfo: str, swap: int) -> None:
    (roots.proc / "meminfo").write_text(f"MemTotal: 9 kB\nSwapCached: 7 kB\n{meminfo}")
    assert machine_facts.read_kernel(roots).swap_bytes == swap


@pytest.mark.parametrize("limited", [True, False])
def test_cgroup_v2_swap_limit_is_detected(roots: SystemRoots, limited: bool) -> None:
    group = roots.sys / "fs" / "cgroup" / "system.slice"
    group.mkdir(parents=True)
    (group.parent / "cgroup.controllers").touch()
    (group / ("memory.swap.max" if limited else "memory.max")).touch()
    assert machine_facts.read_kernel(roots).limits_swap is limited


def test_of_files_that_are_no_devices_no_link_is_expected(roots: SystemRoots) -> None:
    (roots.dev / "nvidia0").touch()
    assert machine_facts.read_kernel(roots).device_links == {}


# programs


def program(folder: Path, name: str, does: str = "exit 0") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{does}\n")
    path.chmod(0o755)
    return path


def test_links_next_to_the_program_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "bin"
    installed = program(tmp_path / "lib", "ds01", "echo container-list container-run new-user image-list")
    folder.mkdir()
    for name, target in {"ds01": str(installed), "container-list": "ds01", "new-user": "/opt/other"}.items():
        (folder / name).symlink_to(target)
    (folder / "image-list").touch()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    assert machine_facts.program_and_links() == (
        str(installed),
        (
            Link(f"{folder}/container-list", str(installed)),
            Link(f"{folder}/container-run", None),
            Link(f"{folder}/new-user", "/opt/other"),
            Link(f"{folder}/image-list", f"{folder}/image-list"),
        ),
    )


@pytest.mark.parametrize("does", [None, "exit 1"])
def test_a_program_that_does_not_answer_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str | None
) -> None:
    if does is not None:
        program(tmp_path / "bin", "ds01", does)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert machine_facts.program_and_links() == (None, ())


def test_the_devices_in_the_cdi_specifications(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "ADMIN_PATHS", ())
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    program(tmp_path, "nvidia-ctk", "echo nvidia.com/gpu=0:1; echo ' nvidia.com/gpu=MIG-1'; echo other.com/x=1; echo")
    assert machine_facts.cdi_devices() is None, "Docker does not use them without the hook"
    program(tmp_path, "nvidia-cdi-hook")
    assert machine_facts.cdi_devices() == ("0:1", "MIG-1")
    program(tmp_path, "nvidia-ctk", "exit 1")
    assert machine_facts.cdi_devices() is None


def test_either_of_nvidias_hooks_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "ADMIN_PATHS", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not machine_facts.has_nvidia_hook()
    for name in machine_facts.NVIDIA_HOOKS:
        path = program(tmp_path, name)
        assert machine_facts.has_nvidia_hook()
        path.unlink()
