"""The size of a user's workspaces: nothing outside of them counts, and it takes no longer than it may."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ds01.observe.disk_use.walk import MAX_DEPTH, OutOfTime, tree_size

MEGABYTE = b"x" * (1 << 20)
ME = os.geteuid()


def size(root: Path) -> int:
    """Return the size without that of the directories."""
    found = tree_size(root, owner=ME, until=1.0, clock=lambda: 0.0)
    folders = [root, *(path for path in root.rglob("*") if path.is_dir() and not path.is_symlink())]
    return found.bytes - sum(folder.stat().st_blocks * 512 for folder in folders)


def write(path: Path, content: bytes = MEGABYTE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "workspace").mkdir()
    return tmp_path / "workspace"


def test_files_of_all_levels_count(root: Path) -> None:
    write(root / "a")
    write(root / "b" / "c" / "d")
    assert size(root) == pytest.approx(2 << 20, abs=8192)


def test_links_are_not_followed(root: Path, tmp_path: Path) -> None:
    write(tmp_path / "outside" / "big")
    (root / "file").symlink_to(tmp_path / "outside" / "big")
    (root / "folder").symlink_to(tmp_path / "outside")
    (root / "up").symlink_to("..")
    assert size(root) < 65536


def test_a_file_with_two_names_counts_once(root: Path) -> None:
    os.link(write(root / "a"), root / "b")
    assert size(root) == pytest.approx(1 << 20, abs=8192)


def test_a_file_with_holes_has_the_size_of_its_blocks(root: Path) -> None:
    with (root / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    assert size(root) < 65536


def test_a_link_to_ones_own_directory_is_ones_workspace(root: Path, tmp_path: Path) -> None:
    write(tmp_path / "big-disk" / "a")
    (tmp_path / "link").symlink_to(tmp_path / "big-disk")
    assert tree_size(tmp_path / "link", owner=ME, until=1.0, clock=lambda: 0.0).bytes >= 1 << 20


@pytest.mark.skipif(ME != 0, reason="only root can give files away")
def test_somebody_elses_directory_is_not_ones_workspace(root: Path) -> None:
    with pytest.raises(PermissionError):
        tree_size(root, owner=70001, until=1.0, clock=lambda: 0.0)


def test_no_workspace_is_empty_but_no_home_is_unknown(tmp_path: Path) -> None:
    assert tree_size(tmp_path / "workspace", owner=ME, until=1.0, clock=lambda: 0.0).bytes == 0
    with pytest.raises(FileNotFoundError):
        tree_size(tmp_path / "home" / "workspace", owner=ME, until=1.0, clock=lambda: 0.0)


def test_it_stops_when_its_time_is_over(root: Path) -> None:
    for number in range(5):
        (root / str(number)).mkdir()
    times = iter(range(100))
    with pytest.raises(OutOfTime):
        tree_size(root, owner=ME, until=3, clock=lambda: next(times))


def test_a_tree_that_is_too_deep_ends(root: Path) -> None:
    descriptor = os.open(root, os.O_RDONLY)
    for _ in range(MAX_DEPTH + 50):
        os.mkdir("d", dir_fd=descriptor)
        below = os.open("d", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(descriptor)
    assert tree_size(root, owner=ME, until=1.0, clock=lambda: 0.0).unreadable == 1
