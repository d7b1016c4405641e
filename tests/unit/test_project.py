"""The project as a whole: where things lie, what is pinned, and that its scripts are ones."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import ds01

TOP = Path(__file__).resolve().parents[2]
FOLDERS = {".ci", "config", "debian", "docs", "ds01", "packaging", "tests"}
# Python 3.10 has no parser for TOML, and a dependency for four lines would be one too many.
PROJECT = (TOP / "pyproject.toml").read_text()
LOCK = (TOP / "requirements.lock").read_text()
PINNED = dict(re.findall(r"^([a-z0-9-]+)==([^ ;]+)", LOCK, re.MULTILINE))


def tracked() -> list[str]:
    """What git has, and what is new and not ignored."""
    if shutil.which("git") is None or not (TOP / ".git").exists():
        pytest.skip("no git, or no checkout: it is not known which files belong to the project")
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=TOP,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [name for name in listed.stdout.split("\0") if name and (TOP / name).exists()]


def scripts() -> dict[str, str]:
    """The interpreter of every file that begins with `#!`."""
    found = {}
    for name in tracked():
        with (TOP / name).open("rb") as file:
            first = file.readline(200)
        if first.startswith(b"#!"):
            found[name] = first.decode().split("/")[-1].split()[-1]
    return found


def wanted(section: str) -> list[str]:
    """The requirements in a list of pyproject.toml, as they stand there."""
    match = re.search(rf"^{section} = \[(.*?)\]$", PROJECT, re.MULTILINE | re.DOTALL)
    assert match is not None
    return re.findall(r'"([^"]+)"', re.sub(r"#.*", "", match[1]))


def test_only_the_rooms_that_the_design_has() -> None:
    assert {name.split("/")[0] for name in tracked() if "/" in name} <= FOLDERS


def test_packaging_and_config_are_no_python_packages() -> None:
    assert not {"packaging/__init__.py", "config/__init__.py"}.intersection(tracked())


def test_the_version_stands_in_both_places() -> None:
    assert f'\nversion = "{ds01.__version__}"\n' in PROJECT


def test_the_wheel_takes_config_along() -> None:
    assert '[tool.hatch.build.targets.wheel.force-include]\nconfig = "ds01/config"\n' in PROJECT


def test_the_lock_names_no_index_and_no_place() -> None:
    lines = [line for line in LOCK.splitlines() if not line.startswith("#")]
    assert not [line for line in lines if re.search(r"://|--(?!hash=sha256:)|/", line)]
    assert not re.search(r"://|--(extra-)?index-url|--find-links|/(home|root|tmp|usr)\b", LOCK)


def test_every_pin_has_its_hashes() -> None:
    pins = re.findall(r"^\S+==.*(?:\n    .*)*", LOCK, re.MULTILINE)
    assert len(pins) >= len(PINNED) > 20
    assert not [pin for pin in pins if "--hash=sha256:" not in pin]


@pytest.mark.parametrize("section", ["dependencies", "dev", "requires"])
def test_the_lock_covers_what_the_project_needs(section: str) -> None:
    requirements = wanted(section)
    assert requirements
    for requirement in requirements:
        match = re.fullmatch(r"([a-z0-9-]+)(>=|==)([0-9.]+)", requirement)
        assert match is not None, requirement
        name, relation, version = match.groups()
        assert name in PINNED, f"{name}: the first lines of requirements.lock say how to make it anew"
        if relation == "==":
            assert PINNED[name] == version
        else:
            assert _numbers(PINNED[name]) >= _numbers(version), requirement


def test_every_script_of_packaging_can_be_executed() -> None:
    here = [name for name in tracked() if name.startswith(("packaging/", ".ci/"))]
    found = [name for name in here if name in scripts()]
    assert {".ci/run", "packaging/environment", "packaging/link", "packaging/test"} <= set(found)
    assert not [name for name in found if not os.access(TOP / name, os.X_OK)]


def test_every_shell_script_parses() -> None:
    shells = {name: shell for name, shell in scripts().items() if shell in ("sh", "bash", "dash")}
    assert shells
    for name, shell in shells.items():
        if shutil.which(shell) is None:
            continue
        checked = subprocess.run([shell, "-n", str(TOP / name)], capture_output=True, text=True, check=False)
        assert (checked.returncode, checked.stderr) == (0, ""), name


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())
