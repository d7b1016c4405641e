"""A user's files are accessed with that user's uid, whoever acts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ds01.errors import Ds01Error
from ds01.system.home import Home
from ds01.system.users import Users
from tests.harness import Harness

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act for others")


@pytest.fixture
def home(harness: Harness) -> Home:
    return Home(Users(harness.state / "passwd").by_login("alice"))


def test_written_file_is_read_back_and_its_directory_created(home: Home) -> None:
    path = home.path / "deep" / "er" / "notes.txt"
    assert home.read(path) is None
    home.write(path, "Grüße\n", mode=0o600)
    assert home.read_text(path) == "Grüße\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert home.list(path.parent) == ("notes.txt",)


@AS_ROOT
def test_file_that_root_writes_belongs_to_the_user(home: Home) -> None:
    home.write(home.path / "new" / "file", b"x")
    assert (home.path / "new").stat().st_uid == (home.path / "new" / "file").stat().st_uid == home.account.uid


@AS_ROOT
def test_root_follows_links_with_the_users_rights_only(home: Home, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("only root's")
    secret.chmod(0o600)
    (home.path / "link").symlink_to(secret)
    with pytest.raises(Ds01Error):
        home.read(home.path / "link")
    with pytest.raises(Ds01Error):
        home.write(home.path / "link", "mine now")
    assert secret.read_text() == "only root's"


def test_link_to_the_users_own_file_stays_a_link(home: Home) -> None:
    home.write(home.path / "dotfiles" / "real", "old")
    (home.path / "link").symlink_to(home.path / "dotfiles" / "real")
    home.write(home.path / "link", "new")
    assert (home.path / "link").is_symlink()
    assert home.read_text(home.path / "dotfiles" / "real") == "new"


def test_replaced_file_keeps_its_mode_and_a_pipe_is_kept(home: Home) -> None:
    home.write(home.path / "private", "old", mode=0o600)
    home.write(home.path / "private", "new")
    assert (home.path / "private").stat().st_mode & 0o777 == 0o600
    os.mkfifo(home.path / "pipe")
    (home.path / "link").symlink_to(home.path / "pipe")
    with pytest.raises(Ds01Error, match="cannot be written"):
        home.write(home.path / "link", "x")
    assert (home.path / "pipe").is_fifo()


def test_directory_is_created_once(home: Home) -> None:
    assert home.make_directory(home.path / "a" / "b")
    assert not home.make_directory(home.path / "a" / "b")
    home.write(home.path / "file", "")
    with pytest.raises(Ds01Error, match="cannot be created"):
        home.make_directory(home.path / "file")


def test_pipe_does_not_block_and_relative_path_is_refused(home: Home) -> None:
    os.mkfifo(home.path / "pipe", 0o666)
    (home.path / "pipe").chmod(0o666)
    with pytest.raises(Ds01Error, match="cannot be read"):
        home.read(home.path / "pipe")
    with pytest.raises(Ds01Error, match="absolute"):
        home.read(Path("notes"))


def test_program_runs_in_the_owners_environment(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/somewhere")
    said = dict(line.split("=", 1) for line in home.run(["env"]).splitlines() if "=" in line)
    assert said["HOME"] == home.account.home
    if os.geteuid() == 0:
        assert "GIT_DIR" not in said
        assert home.run(["id", "-u"]).strip() == str(home.account.uid)
