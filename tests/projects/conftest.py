"""A home with a project. These tests start git and ssh-keygen, so they are not among the fastest."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from ds01.projects import project_directory
from ds01.system.home import Home
from ds01.system.users import Account, Users
from tests.harness import Harness
from tests.unit.cli.conftest import ds

__all__ = ["AS_ROOT", "ds", "everything", "home", "own_home", "project"]

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act for others")


@pytest.fixture
def home(harness: Harness) -> Home:
    return Home(Users(harness.state / "passwd").by_login("alice"))


@pytest.fixture
def project(home: Home) -> Path:
    project_directory.create_project_directory(home, "birds")
    return home.path / "workspace" / "birds"


def everything(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return mode and content of every file below a directory, except git's index, which reading may change."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mode, b"" if path.is_dir() else path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.name != "index"
    }


def own_home(folder: str) -> Home:
    """The home of the user who runs the tests, so that nothing runs in a child process."""
    return Home(Account(os.geteuid(), os.getegid(), pwd.getpwuid(os.geteuid()).pw_name, folder))
