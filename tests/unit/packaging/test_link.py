"""`packaging/link`: symlinks to ds01 for its commands, made once, and nothing of anybody else's overwritten."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

LINK = Path(__file__).resolve().parents[3] / "packaging" / "link"


def program(path: Path, *names: str) -> Path:
    """A ds01 that knows these commands, and says how it was called otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    says = "".join(f"echo '{name}'\n" for name in names)
    path.write_text(f'#!/bin/sh\nif [ "$1" = --names ]; then\n:\n{says}else basename "$0"\nfi\n')
    path.chmod(0o755)
    return path


def link(*arguments: Path | str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.defpath}
    return subprocess.run(
        [LINK, *arguments], env=environment, cwd="/", capture_output=True, text=True, check=False, timeout=30
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a name as people give them."""
    made = tmp_path / "my bin"
    made.mkdir()
    return made


def links(folder: Path) -> dict[str, str]:
    return {path.name: os.readlink(path) for path in folder.iterdir() if path.is_symlink()}


def test_each_command_becomes_a_link_that_ds01_is_called_by(folder: Path) -> None:
    program(folder / "ds01", "container-list", "image-create")
    made = link(folder)
    assert (made.returncode, made.stdout, made.stderr) == (0, "", "")
    assert links(folder) == {"container-list": "ds01", "image-create": "ds01"}
    called = subprocess.run([folder / "container-list"], capture_output=True, text=True, check=True)
    assert called.stdout == "container-list\n"


def test_a_second_time_changes_nothing_and_adds_what_is_new(folder: Path) -> None:
    program(folder / "ds01", "container-list")
    assert link(folder).returncode == 0
    before = os.lstat(folder / "container-list")
    program(folder / "ds01", "container-list", "new-user")
    assert link(folder).returncode == 0
    assert os.lstat(folder / "container-list") == before
    assert set(links(folder)) == {"container-list", "new-user"}


def test_a_program_elsewhere_is_linked_relatively(folder: Path, tmp_path: Path) -> None:
    elsewhere = program(tmp_path / "lib" / "ds01" / "ds01", "container-list")
    for _ in range(2):
        assert link(folder, elsewhere).returncode == 0
    assert links(folder) == {"ds01": "../lib/ds01/ds01", "container-list": "ds01"}
    assert (folder / "container-list").resolve() == elsewhere


def test_a_program_in_the_folder_may_be_named_too(folder: Path) -> None:
    assert link(folder, program(folder / "ds01", "container-list")).returncode == 0
    assert links(folder) == {"container-list": "ds01"}


@pytest.mark.parametrize("what", ["file", "folder", "link", "dangling"])
def test_what_is_something_else_stays_and_nothing_is_made(folder: Path, what: str) -> None:
    program(folder / "ds01", "container-list", "image-create")
    other = folder / "image-create"
    if what == "file":
        other.write_text("mine")
    elif what == "folder":
        other.mkdir()
    else:
        other.symlink_to("/bin/sh" if what == "link" else "absent")
    refused = link(folder)
    assert refused.returncode == 1
    assert "image-create is " in refused.stderr and "Remove it" in refused.stderr
    assert not (folder / "container-list").exists()
    assert other.read_text() == "mine" if what == "file" else other.is_dir() or other.is_symlink()


@pytest.mark.parametrize("name", ["../evil", "ds01", "-rf", "Upper", "a.b", "*"])
def test_a_name_that_is_none_is_refused(folder: Path, name: str) -> None:
    program(folder / "ds01", "container-list", name)
    refused = link(folder)
    assert refused.returncode == 1 and "no name for a command" in refused.stderr
    assert links(folder) == {}


def test_wrong_use_says_what_is_needed(folder: Path) -> None:
    assert "packaging/link DIR" in link().stderr
    assert "no folder" in link(folder / "absent").stderr
    assert "no program" in link(folder).stderr
    program(folder / "ds01")
    assert "named no command" in link(folder).stderr
    (folder / "ds01").write_text("#!/bin/sh\nexit 3\n")
    assert "failed" in link(folder).stderr
