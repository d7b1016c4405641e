"""Names of slices and containers: no two users share a slice, and names are unambiguous."""

from __future__ import annotations

import pytest

from ds01.policy import names


@pytest.mark.parametrize("login", ["alice", "a_b", "1001", "x" * 64])
def test_plain_login_is_used_in_the_slice_name(login: str) -> None:
    assert names.slice_name("researchers", login, 1001) == f"ds01-researchers-{login}.slice"


def test_logins_that_fold_to_the_same_have_different_slices() -> None:
    logins = ["a.b", "a-b", "a_b", "A.B", "a@b", "a b", "a_b_", "李雷", "雷李", "x" * 65, "x" * 66, "DOM\\a_b"]
    found = {names.slice_name("g", login, 1) for login in logins}
    assert len(found) == len(logins)


def test_folded_looking_login_gets_its_own_slice() -> None:
    folded = names.slice_name("g", "a.b", 1)
    assert names.slice_name("g", folded.removeprefix("ds01-g-").removesuffix(".slice"), 2) != folded


@pytest.mark.parametrize("login", ["first.last@example.org", "a-b", "", "x" * 5000, "\udcff", "a\nb", "/../x", "Ⅷ"])
def test_slice_name_has_no_extra_levels(login: str) -> None:
    name = names.slice_name("g" * 64, login, 4294967294)
    assert name.count("-") == 2
    assert name.isascii() and "/" not in name and "\n" not in name
    assert len(name) < 255


def test_slice_of_a_user_without_a_login_has_the_uid() -> None:
    assert names.slice_name("g", "", 1) != names.slice_name("g", "", 2)


def test_cgroupfs_paths_use_the_slice_names() -> None:
    assert names.group_slice("g") == "ds01-g.slice"
    assert names.slice_path("g", "alice", 1) == "/ds01.slice/ds01-g.slice/ds01-g-alice.slice"
    assert names.group_slice_path("g") == "/ds01.slice/ds01-g.slice"


@pytest.mark.parametrize("group", ["", "A", "a-b", "1a", "a.b", "a\n", "g" * 65])
def test_invalid_group_name_is_refused(group: str) -> None:
    with pytest.raises(ValueError, match="allowed: lower-case letters, digits and _"):
        names.slice_name(group, "alice", 1)


@pytest.mark.parametrize(
    ("text", "name", "changed"),
    [("thesis", "thesis", False), ("My Thesis", "my-thesis", True), ("0_a-b", "0_a-b", False)],
)
def test_container_name_is_folded_and_reported(text: str, name: str, changed: bool) -> None:
    assert names.fold_name(text) == (name, changed)


@pytest.mark.parametrize(
    "text", ["", " a", "-a", "_a", "a.b", "a/b", "ä", "\u212aelvin", "a" * 64, "a\n", "a\tb", "a._.1"]
)
def test_invalid_container_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="allowed: lower-case letters, digits, - and _"):
        names.fold_name(text)


def test_a_docker_name_is_name_and_uid() -> None:
    assert names.container_name("thesis", 1001) == "thesis._.1001"
    assert names.split_container_name("thesis._.1001") == ("thesis", 1001)
    assert names.split_container_name("a._.4294967294") == ("a", 4294967294)


@pytest.mark.parametrize(
    "full",
    [
        "thesis",
        "thesis._.",
        "thesis._.01",
        "thesis._.1001 ",
        "thesis._.1001\n",
        "._.1",
        "A._.1",
        "a._.b._.1",
        "a._.-1",
        "a._.4294967295",
        "a._.١",
    ],
)
def test_other_docker_names_are_not_ours(full: str) -> None:
    assert names.split_container_name(full) is None


@pytest.mark.parametrize(("name", "uid"), [("A", 1), ("a", -1), ("a", 2**32), ("", 1)])
def test_docker_name_of_invalid_parts_is_refused(name: str, uid: int) -> None:
    with pytest.raises(ValueError, match="allowed: "):
        names.container_name(name, uid)
