"""A user database like LDAP behind the C library, which can stop answering."""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.harness import Harness


@dataclass
class UserDirectory:
    """Users and Unix groups that only the directory has. `knows_people`, `knows_groups` false: it does not answer."""

    harness: Harness
    uids: dict[str, int] = field(default_factory=dict)
    gids: dict[str, int] = field(default_factory=dict)
    members: dict[str, set[str]] = field(default_factory=dict)  # group -> logins
    knows_people: bool = True
    knows_groups: bool = True

    def silence(self, *, people: bool = True, groups: bool = True) -> None:
        """Stop answering about users, groups, or both."""
        self.knows_people, self.knows_groups = not people, not groups

    def answer(self) -> None:
        """Answer again."""
        self.knows_people = self.knows_groups = True

    def person(self, login: str) -> pwd.struct_passwd:
        uid = self.uids[login]
        return pwd.struct_passwd((login, "x", uid, uid, "", str(self.harness.home(login)), "/bin/sh"))

    def group(self, name: str) -> grp.struct_group:
        return grp.struct_group((name, "x", self.gids[name], []))

    def group_list(self, login: str, gid: int) -> list[int]:
        if not self.knows_groups:
            return [gid]
        return [gid, *(self.gids[name] for name, logins in self.members.items() if login in logins)]


def connect_user_directory(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, members: dict[str, set[str]]
) -> UserDirectory:
    """Move the users of `members` from the harness's own list into a directory."""
    logins = set().union(*members.values())
    gids = {name: 80001 + number for number, name in enumerate(members)}
    directory = UserDirectory(harness, {login: harness.people[login] for login in logins}, gids, members)
    path = harness.state / "passwd"
    remaining = [line for line in path.read_text().splitlines(True) if line.partition(":")[0] not in logins]
    Path(path).write_text("".join(remaining))
    originals = (pwd.getpwuid, pwd.getpwnam, grp.getgrnam, grp.getgrgid, os.getgrouplist)

    def getpwuid(uid: int) -> pwd.struct_passwd:
        login = next((login for login in directory.uids if directory.uids[login] == uid), None)
        if login is None:
            return originals[0](uid)
        if not directory.knows_people:
            raise KeyError(uid)
        return directory.person(login)

    def getpwnam(login: str) -> pwd.struct_passwd:
        if login not in directory.uids:
            return originals[1](login)
        if not directory.knows_people:
            raise KeyError(login)
        return directory.person(login)

    def getgrnam(name: str) -> grp.struct_group:
        if name not in directory.gids:
            return originals[2](name)
        if not directory.knows_groups:
            raise KeyError(name)
        return directory.group(name)

    def getgrgid(gid: int) -> grp.struct_group:
        name = next((name for name in directory.gids if directory.gids[name] == gid), None)
        if name is None:
            return originals[3](gid)
        if not directory.knows_groups:
            raise KeyError(gid)
        return directory.group(name)

    def getgrouplist(login: str, gid: int) -> list[int]:
        return directory.group_list(login, gid) if login in directory.uids else originals[4](login, gid)

    monkeypatch.setattr(pwd, "getpwuid", getpwuid)
    monkeypatch.setattr(pwd, "getpwnam", getpwnam)
    monkeypatch.setattr(grp, "getgrnam", getgrnam)
    monkeypatch.setattr(grp, "getgrgid", getgrgid)
    monkeypatch.setattr(os, "getgrouplist", getgrouplist)
    return directory
