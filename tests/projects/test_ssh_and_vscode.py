"""SSH keys and the entry for VS Code, checked with the real ssh-keygen and ssh."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path

import pytest

from ds01.errors import Ds01Error, InvalidState, UsageError
from ds01.projects import ssh, vscode
from ds01.system.home import Home
from ds01.system.users import Users
from tests.harness import Harness
from tests.projects.conftest import AS_ROOT, everything

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh here")


@pytest.fixture
def home(fast_tmp: Path) -> Home:
    """Skip for users outside the user database, for whom ssh-keygen does not work."""
    uid = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else os.geteuid()
    harness = Harness(fast_tmp / "bed", people={"alice": uid})
    return Home(Users(harness.state / "passwd").by_login("alice"))


@pytest.fixture
def key(home: Home) -> Path:
    ssh.set_up_key(home, comment="alice@server")
    return home.path / ".ssh" / ssh.KEY_NAME


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_new_key_is_readable_by_its_owner_only(home: Home) -> None:
    step = ssh.set_up_key(home, comment="alice@server")
    folder = home.path / ".ssh"
    assert step.made == ("~/.ssh", "~/.ssh/id_ed25519", "~/.ssh/id_ed25519.pub")
    assert (mode(folder), mode(folder / "id_ed25519")) == (0o700, 0o600)
    if os.geteuid() == 0:
        assert {path.stat().st_uid for path in (folder, *folder.iterdir())} == {home.account.uid}
    public = ssh.public_key(home) or ""
    assert public.startswith("ssh-ed25519 ") and public.endswith(" alice@server")
    assert "no passphrase" in " ".join(step.notes)


def test_existing_key_is_kept(home: Home, key: Path) -> None:
    before = everything(key.parent)
    assert ssh.set_up_key(home, comment="another").is_unchanged
    assert everything(key.parent) == before


def test_lost_public_key_is_recreated(home: Home, key: Path) -> None:
    public = ssh.public_key(home)
    home.remove(key.with_suffix(".pub"))
    assert ssh.public_key(home) is None
    assert "~/.ssh/id_ed25519.pub" in ssh.set_up_key(home, comment="x").made
    assert (ssh.public_key(home) or "").split()[:2] == (public or "").split()[:2]


def test_lost_public_key_with_passphrase_names_command(home: Home, key: Path) -> None:
    home.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-f", str(key)])
    home.remove(key.with_suffix(".pub"))
    step = ssh.set_up_key(home, comment="x")
    assert step.is_unchanged and "ssh-keygen -y" in " ".join(step.notes)


def test_public_key_without_a_private_key_is_kept(home: Home, key: Path) -> None:
    home.remove(key)
    before = everything(key.parent)
    with pytest.raises(InvalidState):
        ssh.set_up_key(home, comment="x")
    assert everything(key.parent) == before


def test_permissions_of_existing_keys_are_tightened(home: Home, key: Path) -> None:
    key.chmod(0o644)
    key.parent.chmod(0o777)
    step = ssh.set_up_key(home, comment="x")
    assert (mode(key), mode(key.parent) & 0o022) == (0o600, 0) and len(step.made) == 2
    key.parent.chmod(0o755)
    assert ssh.set_up_key(home, comment="x").is_unchanged and mode(key.parent) == 0o755, "which ssh takes too"


def test_private_key_is_never_shown(home: Home, key: Path) -> None:
    private = home.read(key) or b""
    home.write(key.with_suffix(".pub"), private)
    assert ssh.public_key(home) is None


@pytest.mark.parametrize("comment", ["a\nb", "\x1b[2J", "x" * 201])
def test_a_comment_is_one_line(comment: str, home: Home) -> None:
    with pytest.raises(UsageError):
        ssh.set_up_key(home, comment=comment)


def test_a_comment_that_looks_like_an_option_is_one(home: Home) -> None:
    ssh.set_up_key(home, comment="-N")
    assert (ssh.public_key(home) or "").endswith(" -N")


@AS_ROOT
def test_root_does_not_follow_a_linked_ssh_directory(home: Home, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (home.path / ".ssh").symlink_to(closed)
    with pytest.raises(Ds01Error):
        ssh.set_up_key(home, comment="x")
    assert list(closed.iterdir()) == []


# VS Code


def settings(path: Path) -> dict[str, str]:
    """Return how ssh itself reads the entry."""
    said = subprocess.run(
        ["ssh", "-F", str(path), "-G", vscode.HOST_ALIAS],
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    ).stdout
    return dict(line.split(" ", 1) for line in said.splitlines() if " " in line)


@pytest.mark.parametrize("login", ["alice", "first.last@domain", "with space"])
def test_ssh_understands_the_entry(login: str, tmp_path: Path) -> None:
    (tmp_path / "config").write_text(vscode.host_entry(login, "server.example.org", 2222))
    found = settings(tmp_path / "config")
    assert (found["hostname"], found["user"], found["port"]) == ("server.example.org", login, "2222")


def test_guide_contains_the_whole_entry() -> None:
    text = "\n".join(line.strip() for line in vscode.setup_guide("alice", "server"))
    assert "\n".join(line.strip() for line in vscode.host_entry("alice", "server").splitlines()) in text
    assert "{" not in text


@pytest.mark.parametrize("host", ["", "-oProxyCommand=x", "a b", "a\nUser root", "ü", "x" * 300, "a;b"])
def test_invalid_host_is_refused(host: str) -> None:
    with pytest.raises(UsageError):
        vscode.host_entry("alice", host)
    with pytest.raises(UsageError):
        ssh.connection_guide("alice", host)


def test_the_entry_is_added_once_and_the_rest_stays(home: Home, tmp_path: Path) -> None:
    path = home.path / ".ssh" / "config"
    home.write(path, "Host other\n    User x", mode=0o600)
    entry = vscode.host_entry("alice", "server")
    assert vscode.write_host_entry(home, path, entry).made == (str(path),)
    content = home.read_text(path) or ""
    assert content.startswith("Host other\n    User x\n") and mode(path) == 0o600
    assert settings(path)["hostname"] == "server"
    assert vscode.write_host_entry(home, path, entry).is_unchanged
    step = vscode.write_host_entry(home, path, vscode.host_entry("alice", "another"))
    assert step.is_unchanged and "was not changed" in " ".join(step.notes)
    assert home.read_text(path) == content


@pytest.mark.parametrize("there", ["Host ds01-old\n", "Host *\n", "# Host ds01\n", "HostName ds01\n", "Host my.ds01\n"])
def test_similar_entries_are_not_taken_for_ours(there: str, home: Home) -> None:
    home.write(home.path / "config", there)
    assert vscode.write_host_entry(home, home.path / "config", vscode.host_entry("alice", "server")).made


@pytest.mark.parametrize("there", ["Host a ds01 b\n", "  host=ds01\n", "HOST\tds01\n"])
def test_entry_is_recognised_in_any_spelling(there: str, home: Home) -> None:
    home.write(home.path / "config", there)
    assert vscode.write_host_entry(home, home.path / "config", vscode.host_entry("alice", "server")).is_unchanged


def test_new_file_is_readable_by_its_owner_only(home: Home) -> None:
    vscode.write_host_entry(home, home.path / "new" / "config", vscode.host_entry("alice", "server"))
    assert mode(home.path / "new" / "config") == 0o600
