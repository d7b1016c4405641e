"""The policy's files: missing, unreadable or oversized ones, and files of members."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from ds01.errors import PolicyUnreadable
from ds01.policy.reading import nodes
from ds01.policy.reading.load import load
from tests.policy_texts import EVERY_KEY, error_places, load_text, policy_errors


@pytest.mark.parametrize("loader", [yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)])
@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b"", 1),
        (b"# only a comment\n", 1),
        (b"---\n", 1),
        (b"null\n", 1),
        (b"ports: []\n---\nports: []\n", 2),
        (b"ports: []\n...\nnetwork: host\n", 3),
        (b"just a text\n", 1),
        (b"- a\n- b\n", 1),
        (b"ports: [1\n", None),
        (b"defaults:\n\tmemory: 32g\n", 2),
        (b"defaults:\n  memory: 'a\n", None),
        (b"ports: [8888]\nnetwork: \x00\n", 2),
        (b"ports: [8888]\nnetwork: \xff\n", 2),
        ("ports: []".encode("utf-16"), 1),
        (b"a: " + b"[" * 100_000, 1),
        (b"{" * 5000, 1),
        (b"a: {b: " * 5000, 1),
        (b"- " * 5000, 1),
        (b'a: "\\ud800"\n', 1),
        (b'a: "\\U00110000"\n', None),
        (b"%YAML 9.0\n---\nports: []\n", 1),
        (b"%TAG ! tag:x,2000:\n---\nports: !a []\n", 3),
        (b"*a\n", 1),
        (b"&a [*a]\n", 1),
        (b"!!set {a, b}\n", 1),
    ],
)
def test_invalid_file_is_a_single_error(
    loader: Any, text: bytes, line: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodes, "_LOADER", loader)
    (found,) = policy_errors(tmp_path, text)
    assert line is None or found["line"] == line
    assert found["problem"].isprintable()


def test_tab_in_the_indentation_is_named(tmp_path: Path) -> None:
    (found,) = policy_errors(tmp_path, "defaults:\n\tmemory: 32g\n")
    assert (found["problem"], found["allowed"]) == ("the line begins with a tab", "spaces")


@pytest.mark.parametrize("loader", [yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)])
def test_both_yaml_parsers_give_the_same_result(loader: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = load_text(tmp_path, EVERY_KEY)
    monkeypatch.setattr(nodes, "_LOADER", loader)
    assert load_text(tmp_path, EVERY_KEY) == expected


def test_foreign_line_ends_and_bom_are_accepted(tmp_path: Path) -> None:
    assert load_text(tmp_path, b"\xef\xbb\xbf" + EVERY_KEY.replace("\n", "\r\n").encode()) == load_text(
        tmp_path, EVERY_KEY
    )


def test_missing_policy_has_its_own_message(tmp_path: Path) -> None:
    with pytest.raises(PolicyUnreadable, match="There is no policy at") as caught:
        load(tmp_path / "absent.yaml")
    assert caught.value.hint and caught.value.data and caught.value.data["errors"][0]["line"] is None


def test_anything_but_a_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    for path in (tmp_path, tmp_path / "fifo", tmp_path / "loop", Path("/dev/zero")):
        with pytest.raises(PolicyUnreadable, match="cannot be read"):
            load(path)


def test_oversized_policy_is_refused(tmp_path: Path) -> None:
    (found,) = policy_errors(tmp_path, b"#" * ((1 << 20) + 1))
    assert found["problem"] == "the file is larger than 1 MiB"


def test_members_also_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "groups").mkdir()
    (tmp_path / "groups" / "b.members").write_text(
        "# the class of 2027\n\nalice\n  0123  # late\nfirst.last@example.org\r\n"
    )
    (tmp_path / "groups" / "README").write_text("not a list of members")
    policy = load_text(tmp_path, "groups: {a: {members: [x]}, b: {members: [y]}}")
    assert policy.groups["a"].members == {"x"}
    assert policy.groups["b"].members == {"y", "alice", "0123", "first.last@example.org"}


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("a.members", b"alice\nbob carol\n", 2),
        ("a.members", b"alice\n\xff\n", 2),
        ("a.members", b"alice\nbo\x00b\n", 2),
        ("a.members", b"alice, bob\n", 1),
        ("b.members", b"alice\n", None),
    ],
)
def test_a_wrong_members_file_is_an_error(name: str, content: bytes, line: int | None, tmp_path: Path) -> None:
    (tmp_path / "groups").mkdir()
    (tmp_path / "groups" / name).write_bytes(content)
    (found,) = policy_errors(tmp_path, "groups: {a: }")
    assert (found["file"], found["line"]) == (str(tmp_path / "groups" / name), line)


def test_members_must_be_in_a_regular_file(tmp_path: Path) -> None:
    (tmp_path / "groups").mkdir()
    os.mkfifo(tmp_path / "groups" / "a.members")
    (tmp_path / "groups" / "b.members").mkdir()
    assert [error["problem"] for error in policy_errors(tmp_path, "groups: {a: , b: }")] == [
        "it is not a regular file"
    ] * 2


def test_file_in_place_of_the_members_directory_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "groups").write_text("")
    assert error_places(tmp_path, "groups: {a: }") == [(None, "")]
