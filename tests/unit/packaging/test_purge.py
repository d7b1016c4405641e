"""What a purge of the package removes: debian/postrm, with its paths in a folder of the test's own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

POSTRM = Path(__file__).resolve().parents[3] / "debian" / "postrm"
CONTROL = "etc/systemd/system.control"
OURS = (
    "var/lib/ds01/installation", "var/log/ds01/tick.log", "etc/ds01/resource-limits.yaml",
    f"{CONTROL}/ds01-students.slice.d/50-CPUQuota.conf", f"{CONTROL}/ds01-students.slice.d/50-MemoryMax.conf",
    f"{CONTROL}/ds01-students.slice.d/50-TasksMax.conf", f"{CONTROL}/ds01-staff-bob.slice.d/50-TasksMax.conf",
)  # fmt: skip
ADMINISTRATORS = (
    f"{CONTROL}/ds01.slice.d/50-MemoryMax.conf", f"{CONTROL}/ds01-staff-bob.slice.d/50-IOWeight.conf",
    f"{CONTROL}/user.slice.d/50-TasksMax.conf", "etc/other",
)  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """What ds01 and an administrator have written."""
    for name in (*OURS, *ADMINISTRATORS):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def run(root: Path, action: str) -> set[str]:
    """Run the script, and say which files are left."""
    script = POSTRM.read_text()
    for folder in ("/var/", "/etc/"):
        script = script.replace(f" {folder}", f" {root}{folder}")
    subprocess.run(["/bin/sh", "-c", script, "postrm", action], check=True)
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_a_purge_removes_what_ds01_wrote_and_nothing_of_an_administrators(root: Path) -> None:
    assert run(root, "purge") == set(ADMINISTRATORS)
    assert not (root / CONTROL / "ds01-students.slice.d").exists()


def test_a_purge_of_what_never_was_used_goes_well(tmp_path: Path) -> None:
    assert run(tmp_path, "purge") == set()


def test_a_removal_removes_nothing(root: Path) -> None:
    assert run(root, "remove") == {*OURS, *ADMINISTRATORS}
