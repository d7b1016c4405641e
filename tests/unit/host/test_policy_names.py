"""Names in the policy that this server lacks or spells differently are named with their place."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from ds01.gpus.simulated import parse_inventory
from ds01.host.policy_names import NameFinding, NameKind, check_names
from ds01.system.users import Users
from tests.harness import NOON
from tests.policy_texts import load_text

SLOTS = parse_inventory("1xA100,1xA100:2x2g.10gb").observe().slots
RESERVED = "from: 2026-11-01, until: 2026-12-31"
CLOCK_TOLERANCE = NOON + timedelta(days=365)


@pytest.fixture
def users(tmp_path: Path) -> Users:
    people = {"alice": 70001, "first.last@uni.example": 70002, "1234": 70004}
    spellings = {"ALICE": 70001}
    lines = [f"{login}:x:{uid}:{uid}::/h:/bin/sh\n" for login, uid in {**people, **spellings}.items()]
    (tmp_path / "passwd").write_text("".join(lines))
    return Users(tmp_path / "passwd")


def found(folder: Path, users: Users, text: str) -> list[tuple[str, tuple[str, ...], str | None]]:
    names = check_names(load_text(folder, text), users, NOON, slots=SLOTS, logins=("alice", "first.last@uni.example"))
    return [(item.name, item.places, item.instead) for item in names]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("groups: {lab: {members: [LOGIN]}}", "groups.lab"),
        ("user_overrides: {LOGIN: {max_cpus: 3}}", "user_overrides"),
        (f"reservations: [{{for: LOGIN, slots: ['0'], {RESERVED}}}]", "reservations[0]"),
        ("exemptions: [{user: LOGIN, from: [idle_timeout]}]", "exemptions[0]"),
    ],
)
@pytest.mark.parametrize(
    ("login", "instead"),
    [("allice", "alice"), ("First.Last", "first.last@uni.example"), ("zz", None), ("UNI\\alice", "alice")],
)
def test_a_login_that_nobody_has(
    login: str, instead: str | None, text: str, place: str, users: Users, tmp_path: Path
) -> None:
    assert found(tmp_path, users, text.replace("LOGIN", f"'{login}'")) == [(login, (place,), instead)]


def test_a_login_of_digits_is_no_uid(users: Users, tmp_path: Path) -> None:
    assert found(tmp_path, users, "groups: {lab: {members: [1234, 70001]}}") == [("70001", ("groups.lab",), None)]


def test_a_reservation_may_name_a_uid(users: Users, tmp_path: Path) -> None:
    text = f"reservations: [{{for: 70001, slots: ['0'], {RESERVED}}}, {{for: 79999, slots: ['0'], {RESERVED}}}]"
    assert found(tmp_path, users, text) == [("79999", ("reservations[1]",), None)]


def test_another_spelling_of_somebody(users: Users, tmp_path: Path) -> None:
    names = check_names(load_text(tmp_path, "groups: {lab: {members: [ALICE]}}"), users, NOON, slots=SLOTS)
    assert names == (NameFinding(NameKind.LOGIN, "ALICE", ("groups.lab",), known=True, instead="alice"),)


def test_a_name_in_several_places_is_one_finding(users: Users, tmp_path: Path) -> None:
    text = "groups: {a: {members: [zz]}, b: {members: [zz]}}\nexemptions: [{user: zz, from: [idle_timeout]}]"
    assert found(tmp_path, users, text) == [("zz", ("groups.a", "groups.b", "exemptions[0]"), None)]


def test_a_unix_group_that_does_not_exist(users: Users, tmp_path: Path) -> None:
    text = "groups: {lab: {unix_groups: [root, nobody_has_this]}}"
    assert found(tmp_path, users, text) == [("nobody_has_this", ("groups.lab",), None)]


@pytest.mark.parametrize(
    ("slots", "missing"), [(["0", "1", "1:0", "1:1"], []), (["1:2"], ["1:2"]), (["2", "0:0"], ["2", "0:0"])]
)
def test_a_slot_that_does_not_exist(slots: list[str], missing: list[str], users: Users, tmp_path: Path) -> None:
    text = f"reservations: [{{for: alice, slots: {slots}, {RESERVED}}}]"
    assert [name for name, _, _ in found(tmp_path, users, text)] == missing


def test_without_gpus_nothing_is_said_of_slots(users: Users, tmp_path: Path) -> None:
    policy = load_text(tmp_path, f"reservations: [{{for: alice, slots: ['9'], {RESERVED}}}]")
    assert check_names(policy, users, NOON, slots=None) == ()


def test_ended_entries_do_not_count(users: Users, tmp_path: Path) -> None:
    text = (
        f"reservations: [{{for: zz, slots: ['9'], {RESERVED}}}]\n"
        "exemptions: [{user: zz, from: [idle_timeout], until: 2026-12-31}]\n"
        "user_overrides: {zz: {max_cpus: 3, until: 2026-12-31}}"
    )
    assert check_names(load_text(tmp_path, text), users, CLOCK_TOLERANCE, slots=SLOTS) == ()


def test_a_near_name_is_suggested_as_the_server_spells_it(users: Users, tmp_path: Path) -> None:
    text = f"groups: {{lab: {{members: [ALICE]}}}}\nreservations: [{{for: Alice, slots: ['0'], {RESERVED}}}]"
    (_, missing) = check_names(load_text(tmp_path, text), users, NOON, slots=SLOTS)
    assert missing.name == "Alice" and missing.instead == "alice"
