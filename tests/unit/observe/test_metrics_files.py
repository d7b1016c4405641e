"""The files that each tick writes: for node_exporter, and for dcgm-exporter."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from ds01.observe.metrics.job_mapping import mapping_files, write_mapping
from ds01.observe.metrics.textfile import write_textfile
from tests.harness import umask
from tests.server_views import held_slot, leased_slot, make_slot

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make directories of others")


def test_everybody_can_read_the_textfile(tmp_path: Path) -> None:
    path = tmp_path / "ds01.prom"
    with umask(0o077):
        write_textfile(path, "ds01_up 1\n")
    assert path.read_text() == "ds01_up 1\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_in_place_of_the_textfile_is_replaced(tmp_path: Path) -> None:
    target, path = tmp_path / "target", tmp_path / "ds01.prom"
    target.write_text("mine")
    path.symlink_to(target)
    write_textfile(path, "ds01_up 1\n")
    assert target.read_text() == "mine"
    assert not path.is_symlink()


def test_a_missing_directory_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_textfile(tmp_path / "none" / "ds01.prom", "")


@AS_ROOT
@pytest.mark.parametrize(("mode", "owner"), [(0o777, 0), (0o1777, 0), (0o775, 0), (0o755, 70001)])
def test_a_link_that_others_could_have_made_is_not_followed(tmp_path: Path, mode: int, owner: int) -> None:
    (tmp_path / "etc").mkdir()
    open_to_others = tmp_path / "open"
    open_to_others.mkdir()
    (open_to_others / "way").symlink_to(tmp_path / "etc")
    os.chown(open_to_others, owner, 0)
    open_to_others.chmod(mode)
    with pytest.raises(OSError, match="others can write") as refused:
        write_textfile(open_to_others / "way" / "ds01.prom", "")
    assert refused.value.errno == errno.ELOOP
    assert not list((tmp_path / "etc").iterdir())


def test_a_link_of_the_administrator_is_followed(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "var").symlink_to("run")
    write_textfile(tmp_path / "var" / "ds01.prom", "ds01_up 1\n")
    assert (tmp_path / "run" / "ds01.prom").exists()


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic link"):
        write_textfile(tmp_path / "a" / "ds01.prom", "")


def test_mapping_files_are_called_by_gpu_and_gpu_instance() -> None:
    slots = (leased_slot("0"), held_slot("1:2"), make_slot("2"))
    assert mapping_files(slots) == {"0": "alice/thesis._.alice\n", "1.9": "bob/thesis._.bob\n"}


def test_a_lost_slot_has_no_mapping() -> None:
    assert mapping_files((leased_slot("0", lost=True), leased_slot("1:0", gpu_instance=None))) == {}


def test_a_name_cannot_add_a_second_job() -> None:
    assert mapping_files((leased_slot("0", container="a\nb"),)) == {"0": "alice/a�b\n"}


def test_mapping_is_written_and_removed(tmp_path: Path) -> None:
    remembered: list[list[str]] = []
    assert write_mapping(tmp_path, {"0": "a/b\n", "1.2": "c/d\n"}, [], remembered.append) == []
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"0": "a/b\n", "1.2": "c/d\n"}
    assert stat.S_IMODE((tmp_path / "0").stat().st_mode) == 0o644
    write_mapping(tmp_path, {"0": "e/f\n"}, remembered[-1], remembered.append)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"0": "e/f\n"}
    assert remembered[-1] == ["0"]


def test_names_are_remembered_before_the_first_file_is_written(tmp_path: Path) -> None:
    seen: list[tuple[list[str], list[str]]] = []
    write_mapping(
        tmp_path, {"0": "a/b\n"}, [], lambda names: seen.append((names, [path.name for path in tmp_path.iterdir()]))
    )
    assert seen[0] == (["0"], [])


def test_foreign_files_are_left_alone(tmp_path: Path) -> None:
    for name in ("0", "1", "README"):
        (tmp_path / name).write_text("12345\n")
    remembered: list[list[str]] = []
    assert write_mapping(tmp_path, {"0": "a/b\n", "2": "c/d\n"}, [], remembered.append) == ["0"]
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "0": "12345\n", "1": "12345\n", "README": "12345\n", "2": "c/d\n",
    }  # fmt: skip
    assert remembered[-1] == ["2"]


def test_a_damaged_list_removes_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "mapping"
    folder.mkdir()
    (tmp_path / "precious").write_text("mine")
    (folder / "notes").write_text("mine")
    write_mapping(folder, {}, ["../precious", "notes", "0"], lambda names: None)
    assert (tmp_path / "precious").exists()
    assert (folder / "notes").exists()


def test_an_unchanged_file_is_not_written_again(tmp_path: Path) -> None:
    write_mapping(tmp_path, {"0": "a/b\n"}, [], lambda names: None)
    before = (tmp_path / "0").stat().st_ino
    write_mapping(tmp_path, {"0": "a/b\n"}, ["0"], lambda names: None)
    assert (tmp_path / "0").stat().st_ino == before
