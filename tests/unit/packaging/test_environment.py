"""`packaging/environment` where it cannot do its work: what it says. Where it can, every run of the checks shows it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[3]
TOOLS = ("cat", "cksum", "dirname", "grep", "head", "ls", "mktemp", "rm", "sed", "tail")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the script reads, and programs: no Python, no apt-get, and nobody is root."""
    top = tmp_path / "a checkout"
    (top / "packaging").mkdir(parents=True)
    shutil.copy(TOP / "packaging" / "environment", top / "packaging")
    for name in ("pyproject.toml", "requirements.lock"):
        shutil.copy(TOP / name, top)
    (top / "bin").mkdir()
    for tool in TOOLS:
        (top / "bin" / tool).symlink_to(shutil.which(tool, path=os.defpath) or "")
    fake(top, "id", "echo 1000")
    return top


def fake(checkout: Path, name: str, does: str) -> None:
    path = checkout / "bin" / name
    path.write_text(f"#!/bin/sh\n{does}\n")
    path.chmod(0o755)


def run(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    script = checkout / "packaging" / "environment"
    environment = {"PATH": str(checkout / "bin")}
    return subprocess.run(
        ["/bin/sh", script, *arguments],
        env=environment,
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_no_python(checkout: Path) -> None:
    failed = run(checkout)
    assert failed.returncode == 1
    assert "needs Python 3.10 or newer, and there is no python3" in failed.stderr


def test_an_old_python(checkout: Path) -> None:
    fake(checkout, "python3", 'if [ "$1" = -c ]; then exit 1; fi; echo Python 3.9.2')
    failed = run(checkout)
    assert failed.returncode == 1
    assert "needs Python 3.10 or newer, and there is Python 3.9.2" in failed.stderr
    assert "PYTHON=/path/to" in failed.stderr


def test_a_python_without_ensurepip_names_the_package(checkout: Path) -> None:
    does = f'case "$2" in *ensurepip*) exit 1 ;; esac; exec "{sys.executable}" "$@"'
    fake(checkout, "python3", does)
    failed = run(checkout)
    package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    assert failed.returncode == 1
    assert f"apt-get install {package}" in failed.stderr


def test_root_on_debian_gets_the_package_and_no_other_is_removed_for_it(checkout: Path) -> None:
    fake(checkout, "id", "echo 0")
    fake(checkout, "dpkg-query", "exit 1")
    fake(checkout, "apt-get", 'echo "$DEBIAN_FRONTEND $*" >>"${0%/bin/*}/apt.log"; echo E: no such package; exit 100')
    does = f'case "$2" in *ensurepip*) exit 1 ;; esac; exec "{sys.executable}" "$@"'
    fake(checkout, "python3", does)
    failed = run(checkout, "git")
    assert failed.returncode == 1
    assert "Not installed: git (E: no such package)" in failed.stderr
    assert "-venv could not be installed: E: no such package" in failed.stderr
    calls = (checkout / "apt.log").read_text().splitlines()
    assert [call.split()[1] for call in calls] == ["install", "update", "install"] * 2
    installs = [call for call in calls if " install " in call]
    assert all("noninteractive" in call and "--yes" in call and "--no-remove" in call for call in installs)


def test_what_is_no_environment_is_not_emptied(checkout: Path) -> None:
    fake(checkout, "python3", f'exec "{sys.executable}" "$@"')
    (checkout / ".venv").mkdir()
    (checkout / ".venv" / "thesis.txt").write_text("mine")
    failed = run(checkout)
    assert failed.returncode == 1 and "in the way" in failed.stderr
    assert (checkout / ".venv" / "thesis.txt").read_text() == "mine"


def test_a_package_that_cannot_be_installed_is_named(checkout: Path) -> None:
    assert "Not installed: busybox-static (that needs root and apt-get)" in run(checkout, "busybox-static").stderr


def test_an_unknown_option_is_refused_and_help_is_given(checkout: Path) -> None:
    assert run(checkout, "--nonsense").returncode == 1
    assert run(checkout, "--venv").returncode == 1
    assert "[--venv DIR]" in run(checkout, "--help").stdout
