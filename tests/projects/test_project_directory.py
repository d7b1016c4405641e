"""A project's directory: the tree is created once, and only in the user's own home."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ds01.errors import Ds01Error, InvalidState, UsageError
from ds01.projects import project_directory
from ds01.system.home import Home
from tests.projects.conftest import AS_ROOT, everything

TREE = ("data/raw", "data/processed", "notebooks", "src", "models", "configs", "tests", "scripts", "docs")


def test_tree_is_created_and_git_keeps_its_directories(home: Home) -> None:
    step = project_directory.create_project_directory(home, "birds")
    top = home.path / "workspace" / "birds"
    assert set(step.made) == {str(top), *TREE} and step.kept == ()
    assert all((top / name / ".gitkeep").is_file() for name in TREE)
    assert top.stat().st_uid == home.account.uid or os.geteuid() != 0
    assert (top / "data" / "raw").stat().st_mode & 0o777 == 0o755


def test_blank_creates_only_the_directory(home: Home) -> None:
    assert project_directory.create_project_directory(home, "birds", blank=True).made == (
        str(home.path / "workspace" / "birds"),
    )
    assert home.list(home.path / "workspace" / "birds") == ()


def test_second_run_changes_nothing(home: Home, project: Path) -> None:
    home.write(project / "src" / "train.py", "print()\n")
    home.remove(project / "src" / ".gitkeep")
    home.write(project / "notes.txt", "mine")
    before = everything(project)
    step = project_directory.create_project_directory(home, "birds")
    assert step.is_unchanged and set(step.kept) == {str(project), *TREE}
    assert everything(project) == before


def test_what_is_missing_is_added(home: Home) -> None:
    project_directory.create_project_directory(home, "birds", blank=True)
    step = project_directory.create_project_directory(home, "birds")
    assert set(step.made) == set(TREE) and len(step.kept) == 1


@pytest.mark.parametrize("name", ["birds", "birds/data", "birds/src"])
def test_file_in_the_way_is_reported_and_kept(name: str, home: Home) -> None:
    path = home.path / "workspace" / name
    home.write(path, "mine")
    with pytest.raises(InvalidState) as caught:
        project_directory.create_project_directory(home, "birds")
    assert str(path) in caught.value.message and caught.value.hint
    assert home.read(path) == b"mine"


def test_a_workspace_elsewhere_is_followed(home: Home) -> None:
    home.make_directory(home.path / "big" / "birds")
    (home.path / "workspace" / "birds").symlink_to(home.path / "big" / "birds")
    project_directory.create_project_directory(home, "birds")
    assert (home.path / "big" / "birds" / "src").is_dir()


@AS_ROOT
def test_root_follows_links_with_the_owners_rights_only(home: Home, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (home.path / "workspace" / "birds").symlink_to(closed)
    with pytest.raises(Ds01Error):
        project_directory.create_project_directory(home, "birds")
    assert list(closed.iterdir()) == []


@AS_ROOT
def test_unwritable_home_is_an_error_with_the_path(home: Home) -> None:
    (home.path / "workspace").chmod(0o555)
    with pytest.raises(Ds01Error) as caught:
        project_directory.create_project_directory(home, "birds")
    assert "birds" in caught.value.message and caught.value.why == "Permission denied"


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "/etc", "Birds", "ü", "x" * 64, "-x", "a\n", "a\0"])
def test_no_name_leads_out_of_the_workspace(name: str, home: Home) -> None:
    with pytest.raises(UsageError):
        project_directory.project_path(home, name)
    with pytest.raises(UsageError):
        project_directory.create_project_directory(home, name)


def test_names_are_those_of_containers() -> None:
    assert project_directory.project_name("My Thesis") == "my-thesis"
    for typed in ("a/b", "größe", "x" * 200, "..", ""):
        with pytest.raises(UsageError):
            project_directory.project_name(typed)
