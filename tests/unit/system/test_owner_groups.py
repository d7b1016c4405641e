"""The owner's groups that a container gets: those that own mounted directories, never a powerful one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from ds01.system import owner_groups
from ds01.system.owner_groups import HostGroup, groups_of_directories
from ds01.system.users import Account

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="gives directories to groups, which only root can")
ALICE_ACCOUNT = Account(70001, 70001, "alice", "/home/alice")
Grouped = Callable[..., None]


@pytest.fixture
def member_of(monkeypatch: pytest.MonkeyPatch) -> Grouped:
    """Replaces the groups in the user database."""

    def set_groups(**groups: int) -> None:
        names = {gid: name.replace("_", " ") for name, gid in groups.items()}
        monkeypatch.setattr("os.getgrouplist", lambda login, gid: [gid, *names])

        def getgrgid(gid: int) -> SimpleNamespace:
            return SimpleNamespace(gr_name=names[gid])

        monkeypatch.setattr("grp.getgrgid", getgrgid)

    return set_groups


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o755)
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def owned(path: Path, gid: int, mode: int = 0o2770) -> Path:
    path.mkdir(parents=True)
    os.chown(path, 0, gid)
    path.chmod(mode)
    return path


def found(*directories: Path) -> list[str]:
    return [group.name for group in groups_of_directories(ALICE_ACCOUNT, [str(path) for path in directories])]


def test_a_group_directory_below_a_mounted_one_counts(data: Path, member_of: Grouped) -> None:
    member_of(vision=5001, speech=5002, other=5003)
    owned(data / "vision", 5001)
    owned(data / "a" / "b" / "speech", 5002)
    assert found(data) == ["vision", "speech"]


def test_the_mounted_directory_itself_counts(data: Path, member_of: Grouped) -> None:
    member_of(vision=5001)
    assert groups_of_directories(ALICE_ACCOUNT, [str(owned(data / "vision", 5001))]) == (HostGroup(5001, "vision"),)


@pytest.mark.parametrize(
    "name", ["docker", "sudo", "disk", "adm", "shadow", "root", "wheel", "lxd", "video", "libvirt"]
)
def test_powerful_group_is_never_given(data: Path, member_of: Grouped, name: str) -> None:
    member_of(**{name: 5001})
    owned(data / "x", 5001)
    assert found(data) == []


def test_group_0_is_never_given_whatever_it_is_called(data: Path, member_of: Grouped) -> None:
    member_of(harmless=0)
    assert found(data) == []


def test_a_group_without_a_name_is_not_given(data: Path, member_of: Grouped, monkeypatch: pytest.MonkeyPatch) -> None:
    member_of(vision=5001)
    owned(data / "x", 5002)
    monkeypatch.setattr("os.getgrouplist", lambda login, gid: [gid, 5002])
    assert found(data) == []


def test_links_are_not_followed(data: Path, tmp_path: Path, member_of: Grouped) -> None:
    member_of(vision=5001)
    owned(tmp_path / "elsewhere" / "vision", 5001)
    (data / "link").symlink_to(tmp_path / "elsewhere")
    assert found(data) == []


def test_unreadable_directories_are_skipped(data: Path, member_of: Grouped) -> None:
    member_of(vision=5001)
    owned(data / "closed", 0, 0o700)
    owned(data / "closed" / "vision", 5001)
    owned(data / "open" / "vision", 5001)
    assert found(data) == ["vision"]
    assert found(data / "closed") == []


def test_huge_tree_gives_all_groups_of_people(data: Path, member_of: Grouped, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner_groups, "MAX_DIRECTORIES", 2)
    member_of(vision=5001, plugins=500, docker=5002)
    for number in range(9):
        (data / str(number)).mkdir()
    assert found(data) == ["vision"]


def test_primary_group_alone_gives_no_groups(data: Path, member_of: Grouped) -> None:
    member_of()
    owned(data / "x", ALICE_ACCOUNT.gid)
    assert found(data) == []
