"""`.dockerignore`, as Docker reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ds01.errors import NotFound, UsageError
from ds01.images import ignore, source
from ds01.system.home import Home
from ds01.system.users import Users
from tests.harness import Harness

FILES = ("a.py", "b.txt", "sub/a.py", "sub/deep/c.txt", "data/big.bin", "data/keep.txt", ".git/config", "a[1].py")


def left(text: str) -> set[str]:
    rules = ignore.parse_ignore(text)
    return {name for name in FILES if not rules.leaves_out(name)}


@pytest.mark.parametrize(
    ("text", "out"),
    [
        ("", set()), ("# a.py\n\n  \n", set()), ("data", {"data/big.bin", "data/keep.txt"}),
        ("/data/", {"data/big.bin", "data/keep.txt"}), ("./data", {"data/big.bin", "data/keep.txt"}),
        ("*.py", {"a.py", "a[1].py"}), ("**/*.py", {"a.py", "sub/a.py", "a[1].py"}), ("*/*.py", {"sub/a.py"}),
        ("**", set(FILES)), ("*", set(FILES)), ("sub/**", {"sub/a.py", "sub/deep/c.txt"}),
        ("**/c.txt", {"sub/deep/c.txt"}),
        ("?.py", {"a.py"}), ("[ab].*", {"a.py", "b.txt"}), ("[^a]*.txt", {"b.txt"}), ("a\\[1\\].py", {"a[1].py"}),
        ("data\n!data/keep.txt", {"data/big.bin"}), ("!data/keep.txt\ndata", {"data/big.bin", "data/keep.txt"}),
        ("*\n!a.py\n!sub", set(FILES) - {"a.py", "sub/a.py", "sub/deep/c.txt"}),
        ("*\r\n!a.py\r\n", set(FILES) - {"a.py"}), ("\ufeffdata", {"data/big.bin", "data/keep.txt"}),
        (".git", {".git/config"}), ("[", set()), (".", set()), ("dat", set()), ("a", set()),
    ],
)  # fmt: skip
def test_what_a_pattern_leaves_out(text: str, out: set[str]) -> None:
    assert left(text) == set(FILES) - out


@pytest.mark.parametrize(
    ("text", "all_below"),
    [
        ("data", True), ("data\n!data/keep.txt", False), ("data\n!other/x", True), ("data\n!**/keep.txt", False),
        ("data\n!d*/keep.txt", False), ("*.bin", False), ("data/*", False),
    ],
)  # fmt: skip
def test_fully_ignored_directories_are_not_entered(text: str, all_below: bool) -> None:
    assert ignore.parse_ignore(text).leaves_out_all_below("data") == all_below


@pytest.fixture
def project(harness: Harness) -> tuple[Home, source.SourcePaths]:
    home = Home(Users(harness.state / "passwd").by_login("alice"))
    place = source.source_paths(home, "x", project="x")
    for name in FILES:
        home.write(place.folder / name, name)
    home.write(place.dockerfile, "FROM scratch\nCOPY . /app\n")
    return home, place


def test_whole_directory_needs_an_ignore_file(project: tuple[Home, source.SourcePaths]) -> None:
    home, place = project
    with pytest.raises(UsageError, match="whole directory") as caught:
        source.read_build_context(home, place)
    assert ".dockerignore" in (caught.value.hint or "")
    home.write(place.folder / ".dockerignore", "data\n.git\n")
    there = set(FILES) - {"data/big.bin", "data/keep.txt", ".git/config"}
    assert set(source.read_build_context(home, place)) == {*there, "Dockerfile", ".dockerignore"}


def test_dockerfiles_own_ignore_file_precedes_the_directorys(project: tuple[Home, source.SourcePaths]) -> None:
    home, place = project
    home.write(place.folder / ".dockerignore", "data\n")
    home.write(place.folder / "Dockerfile.dockerignore", "*\n!a.py\n")
    assert set(source.read_build_context(home, place)) == {"a.py", "Dockerfile", ".dockerignore"}


def test_named_directories_are_filtered_too(
    project: tuple[Home, source.SourcePaths],
) -> None:
    home, place = project
    home.write(place.folder / ".dockerignore", "data/big.bin\nsub\n")
    home.write(place.dockerfile, "FROM scratch\nCOPY data /app\n")
    assert set(source.read_build_context(home, place)) == {"data/keep.txt", "Dockerfile"}
    home.write(place.dockerfile, "FROM scratch\nCOPY sub /app\n")
    with pytest.raises(NotFound) as caught:
        source.read_build_context(home, place)
    assert ".dockerignore" in (caught.value.why or "")


def test_requirements_file_cannot_be_left_out(project: tuple[Home, source.SourcePaths]) -> None:
    home, place = project
    home.write(place.folder / ".dockerignore", "*\n")
    home.write(place.requirements, "tqdm\n")
    home.write(place.dockerfile, "FROM scratch\nCOPY x.*.txt /app/\n")
    assert set(source.read_build_context(home, place)) == {"Dockerfile", place.requirements.name}


def test_link_in_a_left_out_directory_is_ignored(project: tuple[Home, source.SourcePaths]) -> None:
    home, place = project
    (Path(place.folder) / "data" / "far").symlink_to("/srv")
    home.write(place.folder / ".dockerignore", "data\n")
    assert "a.py" in source.read_build_context(home, place)
