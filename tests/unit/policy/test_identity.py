"""Accounts match the policy in every spelling, with as few look-ups as the policy needs."""

from __future__ import annotations

import grp
import os
import pwd
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ds01.policy.identity import resolve_account
from ds01.policy.resolve import resolve
from ds01.system.users import Account, Users
from tests.harness import NOON
from tests.policy_texts import load_text

UID = 70001
SERVER = "ameier@uni.example"
PEOPLE = {SERVER: UID, "bob": 70002}
ALIASES = {"ameier": UID, "AMeier": UID, "UNI\\ameier": UID, "AMEIER@UNI.EXAMPLE": UID, "anna.meier": UID}
GROUPS = {"staff": 5001, "Staff@uni.example": 5001, "pupils": 5002}


@pytest.fixture
def directory(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """A user database as with SSSD: several spellings of a login, many groups. Counts look-ups by kind."""
    asked: Counter[str] = Counter()

    def entry(login: str, uid: int) -> pwd.struct_passwd:
        return pwd.struct_passwd((login, "x", uid, uid, "", "/home/x", "/bin/sh"))

    def by_name(login: str) -> pwd.struct_passwd:
        asked["login"] += 1
        uid = {**PEOPLE, **ALIASES}[login]
        return entry(next(name for name, number in PEOPLE.items() if number == uid), uid)

    def by_uid(uid: int) -> pwd.struct_passwd:
        return entry({number: name for name, number in PEOPLE.items()}[uid], uid)

    def group(key: str | int) -> Any:
        asked["group"] += 1
        gid = GROUPS[key] if isinstance(key, str) else key
        return grp.struct_group((f"group{gid}", "x", gid, []))

    def list_groups(login: str, gid: int) -> list[int]:
        asked["list"] += 1
        return [gid, 5001, *range(6000, 6200)]

    monkeypatch.setattr(pwd, "getpwnam", by_name)
    monkeypatch.setattr(pwd, "getpwuid", by_uid)
    monkeypatch.setattr(grp, "getgrnam", group)
    monkeypatch.setattr(grp, "getgrgid", group)
    monkeypatch.setattr(os, "getgrouplist", list_groups)
    return asked


def known(folder: Path, text: str, uid: int = UID, users: Users | None = None) -> tuple[Any, Account]:
    users = users or Users()
    policy = load_text(folder, text)
    account = resolve_account(policy, users.by_uid(uid), users)
    return resolve(policy, account.login, account.groups, NOON, spellings=account.spellings), account


@pytest.mark.parametrize("written", [SERVER, *ALIASES])
def test_every_spelling_of_a_member_counts(written: str, directory: Counter[str], tmp_path: Path) -> None:
    limits, _ = known(tmp_path, f"groups: {{staff: {{members: ['{written}'], admin: true, max_cpus: 3}}}}")
    assert (limits.user, limits.group, limits.admin, limits.limits.max_cpus) == (SERVER, "staff", True, 3)


@pytest.mark.parametrize("written", ["Ameier", "ameier@other.example", "bob", "meier", str(UID)])
def test_unknown_spellings_do_not_count(written: str, directory: Counter[str], tmp_path: Path) -> None:
    limits, _ = known(tmp_path, f"groups: {{staff: {{members: ['{written}'], admin: true}}}}")
    assert (limits.group, limits.admin) == ("default", False)


@pytest.mark.parametrize("written", list(ALIASES))
def test_an_override_counts_by_every_spelling(written: str, directory: Counter[str], tmp_path: Path) -> None:
    limits, _ = known(tmp_path, f"user_overrides: {{'{written}': {{max_cpus: 3}}}}")
    assert limits.limits.max_cpus == 3
    assert limits.sources["max_cpus"] == f"user_overrides.{written}"


def test_an_override_in_the_servers_spelling_comes_first(directory: Counter[str], tmp_path: Path) -> None:
    text = f"user_overrides: {{ameier: {{max_cpus: 3}}, '{SERVER}': {{max_cpus: 4}}}}"
    assert known(tmp_path, text)[0].limits.max_cpus == 4


@pytest.mark.parametrize("written", list(ALIASES))
def test_an_exemption_counts_by_every_spelling(written: str, directory: Counter[str], tmp_path: Path) -> None:
    limits, _ = known(tmp_path, f"exemptions: [{{user: '{written}', from: [idle_timeout, created_timeout]}}]")
    assert limits.limits.idle_timeout is None
    assert limits.exempt_from == ("created_timeout", "idle_timeout")


@pytest.mark.parametrize("written", ["staff", "Staff@uni.example"])
def test_a_unix_group_counts_by_its_number(written: str, directory: Counter[str], tmp_path: Path) -> None:
    assert known(tmp_path, f"groups: {{lab: {{unix_groups: ['{written}']}}}}")[0].group == "lab"


def test_unix_group_without_the_user_does_not_count(directory: Counter[str], tmp_path: Path) -> None:
    assert known(tmp_path, "groups: {lab: {unix_groups: [pupils, nobody_has_this]}}")[0].group == "default"


def test_without_unix_groups_no_group_is_looked_up(directory: Counter[str], tmp_path: Path) -> None:
    known(tmp_path, f"groups: {{lab: {{members: ['{SERVER}']}}}}")
    assert directory == {}


def test_with_unix_groups_each_is_looked_up_once(directory: Counter[str], tmp_path: Path) -> None:
    users = Users()
    for _ in range(5):
        known(tmp_path, f"groups: {{lab: {{members: ['{SERVER}'], unix_groups: [staff, pupils]}}}}", users=users)
    assert directory == {"group": 2, "list": 1}


def test_each_spelling_is_looked_up_once(directory: Counter[str], tmp_path: Path) -> None:
    users = Users()
    for _ in range(5):
        known(tmp_path, "groups: {lab: {members: [ameier, bob, carol]}}", users=users)
    assert directory == {"login": 3}


def test_exact_member_needs_no_further_look_up(directory: Counter[str], tmp_path: Path) -> None:
    others = ", ".join(f"student{number}" for number in range(300))
    text = f"groups: {{lab: {{members: ['{SERVER}', {others}]}}, admins: {{admin: true, members: [root, boss]}}}}"
    assert known(tmp_path, text)[0].group == "lab"
    assert directory == {"login": 2}  # for groups with admin: true, in which anybody may be too
