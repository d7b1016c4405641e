"""Where a page is written, and where it is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ds01.errors import Ds01Error
from ds01.host.publication import publish_page
from tests.harness import umask

PAGE = "<!doctype html>\n<p>new"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "www"
    made.mkdir(mode=0o755)
    return made


def refusal(path: Path) -> str:
    with pytest.raises(Ds01Error) as caught:
        publish_page(path, PAGE)
    assert caught.value.code == "page.not_written"
    return f"{caught.value.message} {caught.value.why}"


def test_a_page_is_readable_by_everybody_whatever_the_umask(directory: Path) -> None:
    with umask(0o077):
        publish_page(directory / "index.html", PAGE)
    assert (directory / "index.html").read_text() == PAGE
    assert (directory / "index.html").stat().st_mode & 0o7777 == 0o644


def test_an_old_page_is_replaced_whole(directory: Path) -> None:
    publish_page(directory / "index.html", PAGE)
    with (directory / "index.html").open() as reader:
        publish_page(directory / "index.html", PAGE + "er")
        assert reader.read() == PAGE
    assert [path.name for path in directory.iterdir()] == ["index.html"]


def test_a_link_is_neither_followed_nor_replaced(directory: Path) -> None:
    victim = directory / "victim"
    victim.write_text("<!doctype html>")
    (directory / "index.html").symlink_to(victim)
    assert "symbolic link" in refusal(directory / "index.html")
    assert victim.read_text() == "<!doctype html>" and (directory / "index.html").is_symlink()


@pytest.mark.parametrize("content", ["root:x:0:0::/root:/bin/sh\n", "<!DOCTYPE"])
def test_a_file_that_is_no_page_is_not_replaced(content: str, directory: Path) -> None:
    (directory / "passwd").write_text(content)
    assert "not a page" in refusal(directory / "passwd")
    assert (directory / "passwd").read_text() == content


def test_devices_and_directories_are_not_replaced(directory: Path) -> None:
    os.mkfifo(directory / "pipe")
    (directory / "folder").mkdir()
    assert "not a page" in refusal(directory / "pipe")
    assert "not a page" in refusal(directory / "folder")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to somebody else")
def test_root_does_not_write_into_a_directory_of_a_user(directory: Path) -> None:
    os.chown(directory, 70001, 70001)
    assert "uid 70001" in refusal(directory / "index.html")
    assert list(directory.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to somebody else")
def test_root_does_not_write_below_a_directory_of_a_user(directory: Path) -> None:
    (directory / "below").mkdir()
    os.chown(directory, 70001, 70001)
    assert str(directory) in refusal(directory / "below" / "index.html")


@pytest.mark.skipif(os.geteuid() != 0, reason="a private group's directory is the user's own")
@pytest.mark.parametrize("mode", [0o775, 0o757, 0o2775])
def test_root_does_not_write_where_others_can_rename(mode: int, directory: Path) -> None:
    directory.chmod(mode)
    assert "mode" in refusal(directory / "index.html")


def test_others_cannot_rename_in_a_sticky_directory(directory: Path) -> None:
    directory.chmod(0o1777)
    publish_page(directory / "index.html", PAGE)
    assert (directory / "index.html").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to somebody else")
def test_a_link_to_a_directory_of_a_user_is_seen_through(directory: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    os.chown(theirs, 70001, 70001)
    (directory / "pages").symlink_to(theirs)
    assert "uid 70001" in refusal(directory / "pages" / "index.html")


def test_a_missing_directory_is_not_made(directory: Path) -> None:
    refusal(directory / "missing" / "index.html")
    assert not (directory / "missing").exists()


def test_temporaries_of_killed_processes_are_deleted_and_no_other_files(directory: Path) -> None:
    for name in (".index.html.1.00.tmp", ".other.html.1.00.tmp"):
        (directory / name).touch()
        os.utime(directory / name, (0, 0))
    publish_page(directory / "index.html", PAGE)
    assert sorted(path.name for path in directory.iterdir()) == [".other.html.1.00.tmp", "index.html"]
