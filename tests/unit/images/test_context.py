"""Build contexts: reproducible tar archives with only the files that a Dockerfile names."""

from __future__ import annotations

import io
import tarfile

import pytest

from ds01.errors import UsageError
from ds01.images.context import CHUNK_BYTES, copied_paths, pack_tar

FILES = {
    "thesis.Dockerfile": b"FROM a\n",
    "src/deep/model.py": b"x" * (3 * CHUNK_BYTES + 7),
    "run.sh": b"#!/bin/sh\n",
    "empty": b"",
    "block": b"y" * 512,
    f"{'long' * 40}/ü.txt": b"z",
}


def test_tar_reads_what_was_packed() -> None:
    with tarfile.open(fileobj=io.BytesIO(b"".join(pack_tar(FILES)))) as archive:
        members = archive.getmembers()
        found = {member.name: archive.extractfile(member) for member in members}
        assert {name: file.read() for name, file in found.items() if file} == FILES
    assert {(member.uid, member.gid, member.mtime) for member in members} == {(0, 0, 0)}
    assert {member.name for member in members if member.mode == 0o755} == {"run.sh"}
    assert {member.mode for member in members} == {0o755, 0o644}


def test_the_same_files_give_the_same_bytes_in_any_order() -> None:
    again = dict(reversed(FILES.items()))
    assert b"".join(pack_tar(FILES)) == b"".join(pack_tar(again))


def test_the_archive_comes_in_small_pieces() -> None:
    assert max(len(piece) for piece in pack_tar(FILES)) <= CHUNK_BYTES


@pytest.mark.parametrize(
    ("dockerfile", "found"),
    [
        ("COPY a.txt /x", ("a.txt",)),
        ("COPY a b c/ /x/", ("a", "b", "c")),
        ("copy --chown=1:1 --chmod=755 ./a /x", ("a",)),
        ('COPY ["with space", "b", "/x/"]', ("with space", "b")),
        ('COPY "a" /x', ("a",)),
        ("COPY a \\\n  b \\\n# c\n  /x/", ("a", "b")),
        ("COPY thesis.*.txt /tmp/ds01/", ("thesis.*.txt",)),
        ("COPY a /x\nADD a.tar b /y\nCOPY a /z", ("a", "a.tar", "b")),
        ("COPY --from=other /abs /x\nCOPY --link --from=0 . /x", ()),
        ("ADD https://h/x.tar /x\nADD git@h:o/r /y\nADD git://h/x z /w", ("z",)),
        ("COPY <<EOF /x\nCOPY hidden /y\nEOF\nRUN true", ()),
        ("# COPY a /x\nRUN cp b /x", ()),
        ("COPY src/../a.txt/ /x", None),
        ("COPY src/./a /x", ("src/a",)),
    ],
)
def test_copied_paths_of_a_dockerfile(dockerfile: str, found: tuple[str, ...] | None) -> None:
    if found is None:
        with pytest.raises(UsageError):
            copied_paths(f"FROM b\n{dockerfile}\n")
    else:
        assert copied_paths(f"FROM b\n{dockerfile}\n") == found


@pytest.mark.parametrize("source", [".", "./", "*", "./*", "**", "*.*", "././", ".//"])
def test_whole_directory_is_never_sent(source: str) -> None:
    with pytest.raises(UsageError, match="whole directory") as caught:
        copied_paths(f"FROM a\nCOPY {source} /app\n")
    assert caught.value.hint


@pytest.mark.parametrize("source", ["/etc/passwd", "../x", "a/../../x", "..", "$X", "a\\ b", "src/**/x", "'a"])
def test_paths_outside_the_directory_are_refused(source: str) -> None:
    with pytest.raises(UsageError):
        copied_paths(f"FROM a\nCOPY {source} /app\n")
