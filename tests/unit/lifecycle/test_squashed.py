"""Homes on a file server that gives root no rights, simulated by root without the capabilities that bypass modes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[3]
SQUASHED = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner,-chown"]
pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="takes rights from root, which needs root and setpriv"
)
UID = 70001
BEGIN = f"""\
import sys
from ds01.errors import Ds01Error
from ds01.host.user_setup import ensure_workspace
from ds01.lifecycle.spec import mount_sources
from ds01.system.users import Account, Actor
home = sys.argv[1]
alice, root = Account({UID}, {UID}, "alice", home), Actor(0, 0, "root")
"""


@pytest.fixture
def home(fast_tmp: Path) -> Path:
    fast_tmp.chmod(0o711)  # not a directory of pytest's: each run of pytest closes the one above all of them to others
    path = fast_tmp / "alice"
    path.mkdir(mode=0o700)
    os.chown(path, UID, UID)
    return path


def squashed(home: Path, script: str) -> str:
    command = [*SQUASHED, sys.executable, "-c", BEGIN + script, str(home)]
    ended = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False, timeout=60)
    assert "Traceback" not in ended.stderr, ended.stderr
    return ended.stdout


def test_unreachable_workspace_is_created_and_reported(home: Path) -> None:
    said = squashed(home, "print(ensure_workspace(alice, root))")
    assert (home / "workspace").stat().st_uid == UID
    assert "root_squash" in said and "chmod o+x" in said and "`workspaces`" in said


def test_a_home_that_others_may_pass_through_is_sound(home: Path) -> None:
    home.chmod(0o711)
    assert "problem=None" in squashed(home, "print(ensure_workspace(alice, root))")
    assert "already=True" in squashed(home, "print(ensure_workspace(alice, root))")


def test_mount_that_docker_cannot_enter_is_refused(home: Path) -> None:
    (home / "data").mkdir()
    os.chown(home / "data", UID, UID)
    script = """
try:
    mount_sources.resolve(home + "/data", owner=alice, allowed=())
except Ds01Error as error:
    print(error.exit_code, error.why, error.hint)
"""
    said = squashed(home, script)
    assert said.startswith("6 ") and "root_squash" in said and "`workspaces`" in said


def test_directory_is_read_with_the_owners_rights(home: Path) -> None:
    (home / "data").mkdir()
    script = 'print(*(mount_sources.exists(f"{home}/{name}", owner=alice) for name in ("data", "none", "none/below")))'
    assert squashed(home, script) == "True False False\n"
