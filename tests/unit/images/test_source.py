"""An image's files: their paths, the build context, and its digest."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ds01.errors import Ds01Error, InvalidState, NotFound, UsageError
from ds01.images import context_files, source
from ds01.images.dockerfile import SourceTexts
from ds01.system.home import Home
from ds01.system.users import Users
from tests.harness import Harness

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act for others")
LABELLED = 'FROM a\nLABEL ds01.image="{}"\n'


@pytest.fixture
def home(harness: Harness) -> Home:
    return Home(Users(harness.state / "passwd").by_login("alice"))


def test_source_path_of_images_and_projects(home: Home) -> None:
    one = source.source_paths(home, "thesis")
    assert one.dockerfile == home.path / "dockerfiles" / "thesis.Dockerfile"
    assert one.requirements == home.path / "dockerfiles" / "thesis.requirements.txt"
    other = source.source_paths(home, "thesis", project="phd")
    assert other.dockerfile == home.path / "workspace" / "phd" / "Dockerfile"
    assert other.requirements.name == "thesis.requirements.txt"  # requirements.txt may be the user's own
    assert source.source_paths_at(one.dockerfile) == one and source.source_paths_at(other.dockerfile, "thesis") == other


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "A", "a\nb", "x" * 64, "-a"])
def test_invalid_name_has_no_path(home: Home, name: str) -> None:
    with pytest.raises(UsageError):
        source.source_paths(home, name)
    with pytest.raises(UsageError):
        source.source_paths(home, "thesis", project=name)


OTHERS = {"thesis.constraints.txt": "scipy<2\n", "thesis.extra.txt": "torch\n"}


def test_written_source_is_found_and_read(home: Home) -> None:
    sources = SourceTexts("FROM a\nCOPY thesis.*.txt /x/\n", "numpy\n", OTHERS)
    place = source.source_paths(home, "thesis")
    assert source.find_source(home, "thesis") is None
    source.write_source(home, place, sources)
    assert source.find_source(home, "thesis") == place
    assert source.read_build_context(home, place) == {
        "thesis.Dockerfile": sources.dockerfile.encode(),
        "thesis.requirements.txt": b"numpy\n",
        **{name: text.encode() for name, text in OTHERS.items()},
    }
    assert all(path.exists() for path in source.source_files(place))


def test_existing_dockerfile_is_replaced_only_on_request(home: Home) -> None:
    place = source.source_paths(home, "thesis")
    home.write(place.dockerfile, "FROM mine\n")
    with pytest.raises(InvalidState):
        source.write_source(home, place, SourceTexts("FROM other\n", "numpy\n"))
    assert home.read_text(place.dockerfile) == "FROM mine\n" and not home.exists(place.requirements)
    source.write_source(home, place, SourceTexts("FROM other\n", None), replace=True)
    assert home.read_text(place.dockerfile) == "FROM other\n"


def test_the_dockerfile_of_a_project_is_found_by_its_label(home: Home) -> None:
    home.write(home.path / "workspace" / "other" / "Dockerfile", LABELLED.format("someone"))
    home.write(home.path / "workspace" / "notes.txt", "no folder")
    home.write(home.path / "workspace" / "phd" / "Dockerfile", LABELLED.format("thesis"))
    assert source.find_source(home, "thesis") == source.source_paths(home, "thesis", project="phd")
    assert source.find_source(home, "other") is None
    assert source.find_source(home, "thesis", project="other") is not None
    home.write(home.path / "dockerfiles" / "thesis.Dockerfile", "FROM a\n")
    assert source.find_source(home, "thesis") == source.source_paths(home, "thesis")


def test_build_context_has_only_copied_files(home: Home) -> None:
    place = source.source_paths(home, "thesis", project="phd")
    home.write(place.dockerfile, "FROM a\nCOPY setup.cfg src *.py /app/\n")
    for name in ("setup.cfg", "src/a/b.py", "src/c.txt", "run.py", "data.bin", "secret"):
        home.write(place.folder / name, name)
    assert set(source.read_build_context(home, place)) == {
        "Dockerfile",
        "setup.cfg",
        "src/a/b.py",
        "src/c.txt",
        "run.py",
    }


def test_another_text_can_replace_the_dockerfile(home: Home) -> None:
    place = source.source_paths(home, "thesis")
    home.write(place.dockerfile, "FROM a\n")
    home.write(place.folder / "new.py", "1")
    edited = b"FROM a\nCOPY new.py /\n"
    assert source.read_build_context(home, place, dockerfile=edited) == {"thesis.Dockerfile": edited, "new.py": b"1"}


def test_missing_files_are_named(home: Home) -> None:
    place = source.source_paths(home, "thesis")
    with pytest.raises(NotFound, match="does not exist"):
        source.read_build_context(home, place)
    home.write(place.dockerfile, "FROM a\nCOPY missing.py /\n")
    with pytest.raises(NotFound, match=r"missing\.py"):
        source.read_build_context(home, place)
    home.write(place.dockerfile, "FROM a\nCOPY *.nothing /\n")
    with pytest.raises(NotFound, match="nothing"):
        source.read_build_context(home, place)


def test_too_large_context_is_refused(home: Home) -> None:
    place = source.source_paths(home, "thesis")
    home.write(place.dockerfile, "FROM a\nCOPY one two /\n")
    for name in ("one", "two"):
        home.write(place.folder / name, b"x" * 60)
    assert len(context_files.read_context_files(home.account, place.folder, ("one", "two"), max_bytes=120)) == 2
    with pytest.raises(UsageError, match="too large"):
        context_files.read_context_files(home.account, place.folder, ("one", "two"), max_bytes=119)


def test_links_inside_are_followed_and_links_out_are_refused(home: Home) -> None:
    place = source.source_paths(home, "thesis")
    home.write(place.folder / "real.py", "1")
    home.write(home.path / "private", "2")
    home.write(place.folder / "src" / "x.py", "3")
    home.write(place.dockerfile, "FROM a\nCOPY link.py /\n")
    (place.folder / "link.py").symlink_to("real.py")
    assert source.read_build_context(home, place)["link.py"] == b"1"
    (place.folder / "link.py").unlink()
    (place.folder / "link.py").symlink_to(home.path / "private")
    with pytest.raises(UsageError, match="leads out"):
        source.read_build_context(home, place)
    (place.folder / "src" / "loop").symlink_to(place.folder)
    home.write(place.dockerfile, "FROM a\nCOPY src /\n")
    with pytest.raises(UsageError, match="link to a directory"):
        source.read_build_context(home, place)


def test_pipe_does_not_block_the_build(home: Home) -> None:
    place = source.source_paths(home, "thesis")
    home.write(place.dockerfile, "FROM a\nCOPY pipe /\n")
    os.mkfifo(place.folder / "pipe")
    with pytest.raises(Ds01Error) as caught:
        source.read_build_context(home, place)
    assert caught.value.why == "it is not a regular file"


@AS_ROOT
def test_root_reads_only_what_the_owner_could(home: Home) -> None:
    place = source.source_paths(home, "thesis")
    home.write(place.dockerfile, "FROM a\nCOPY theirs /\n")
    (place.folder / "theirs").write_text("only root's")
    (place.folder / "theirs").chmod(0o600)
    with pytest.raises(Ds01Error, match="cannot be read"):
        source.read_build_context(home, place)


def test_the_digest_tells_names_and_contents_apart() -> None:
    whole = source.context_digest({"a": b"1", "b": b"2"})
    assert whole == source.context_digest({"b": b"2", "a": b"1"}) and len(whole) == 64
    others: list[dict[str, bytes]] = [
        {"a": b"1"},
        {"a": b"2", "b": b"1"},
        {"a": b"1", "c": b"2"},
        {"ab": b"12"},
        {"a": b"1b2"},
    ]
    assert len({whole, *map(source.context_digest, others)}) == 1 + len(others)


def test_file_name_that_is_not_utf8_is_read(home: Home) -> None:
    place = source.source_paths(home, "thesis")
    home.write(place.dockerfile, "FROM a\nCOPY src /\n")
    home.write(place.folder / "src" / "ok", "1")
    name = os.fsdecode(b"\xff.txt")
    Path(place.folder / "src" / name).write_bytes(b"2")
    assert source.read_build_context(home, place)[f"src/{name}"] == b"2"
