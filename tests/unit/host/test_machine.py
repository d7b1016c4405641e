"""What doctor reads of the machine: given the kernel's and the system's files in folders of the test's own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from ds01.errors import Ds01Error
from ds01.host import machine
from ds01.host.facts import Cron
from ds01.host.machine import Roots
from ds01.host.systemd import Systemd

NOBODY_RUNS = Systemd(lambda arguments: _fail(arguments))


def _fail(arguments: Sequence[str]) -> str:
    raise Ds01Error(f"{arguments[0]} failed with code 3")


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    """A machine that has nothing."""
    for name in ("dev/char", "proc", "sys"):
        (tmp_path / name).mkdir(parents=True)
    return Roots(tmp_path / "dev", tmp_path / "proc", tmp_path / "sys", tmp_path / "cron", tmp_path / "docker")


def process(roots: Roots, pid: int, name: str) -> None:
    (roots.proc / str(pid)).mkdir()
    (roots.proc / str(pid) / "comm").write_text(f"{name}\n")


# cron


@pytest.mark.parametrize("name", ["cron", "crond", "bcron-sched", "fcron"])
def test_the_daemon_of_any_cron_counts(roots: Roots, name: str) -> None:
    process(roots, 1, "systemd")
    process(roots, 7, name)
    assert machine.cron(roots, NOBODY_RUNS).running is True


def test_the_target_of_systemd_cron_counts(roots: Roots) -> None:
    asked: list[Sequence[str]] = []

    def run(arguments: Sequence[str]) -> str:
        asked.append(arguments)
        return ""

    process(roots, 1, "systemd")
    assert machine.cron(roots, Systemd(run)).running is True
    assert asked[0][:2] == ["systemctl", "is-active"] and "cron.target" in asked[0]


@pytest.mark.parametrize(("euid", "running"), [(0, False), (70001, None)])
def test_no_other_process_counts_and_only_root_can_tell(
    roots: Roots, monkeypatch: pytest.MonkeyPatch, euid: int, running: bool | None
) -> None:
    for pid, name in enumerate(("systemd", "dockerd", "cronie-helper", "acron"), start=1):
        process(roots, pid, name)
    (roots.proc / "self").mkdir()
    (roots.proc / "self" / "comm").write_text("cron\n")
    monkeypatch.setattr(os, "geteuid", lambda: euid)
    assert machine.cron(roots, NOBODY_RUNS).running is running


def test_the_entry_is_read_with_mode_and_owner(roots: Roots) -> None:
    process(roots, 7, "cron")
    assert machine.cron(roots, NOBODY_RUNS) == Cron(str(roots.cron), running=True)
    roots.cron.write_text("* * * * * root ds01 tick\n")
    roots.cron.chmod(0o640)
    expected = Cron(str(roots.cron), 0o640, os.geteuid(), "* * * * * root ds01 tick\n", True)
    assert machine.cron(roots, NOBODY_RUNS) == expected


# disks


def test_disks_are_those_of_the_folders_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    space = os.statvfs(tmp_path)
    (found,) = machine.disks({tmp_path / "state": "state", tmp_path / "gone": "nothing", tmp_path: "log"})
    assert (found.path, found.holds) == (str(tmp_path / "state"), ("state", "log")), "one disk, found twice"
    assert found.total_bytes == space.f_blocks * space.f_frsize > found.free_bytes > 0
    assert found.total_files == space.f_files
    assert machine.disks({tmp_path / "gone": "nothing"}) == ()


def test_each_disk_is_found(tmp_path: Path) -> None:
    found = machine.disks({tmp_path: "state", Path("/proc"): "Docker's data"})
    assert [(disk.path, disk.holds) for disk in found] == [(str(tmp_path), ("state",)), ("/proc", ("Docker's data",))]
