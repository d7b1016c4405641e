"""Who ds01 is for: the members of the policy's groups who exist, and the owners of containers."""

from __future__ import annotations

import grp
import pwd
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from ds01.errors import NotFound
from ds01.lifecycle.record import Record
from ds01.policy.model import Policy
from ds01.system.users import Account, Users

DOCKER = "docker"  # who is in this Unix group may talk to Docker


@dataclass(frozen=True)
class UnixGroup:
    """A group of the user database."""

    name: str
    gid: int
    members: frozenset[str]


@dataclass(frozen=True)
class People:
    """`known` are accounts that exist, by login; `unknown` the logins of the policy that nobody has."""

    known: tuple[Account, ...] = ()
    unknown: frozenset[str] = field(default_factory=frozenset)


def people_of(policy: Policy, records: Iterable[Record], users: Users, *, also: Iterable[str] = ()) -> People:
    """Everybody whom the policy names in a group or an override, every owner of a record, and the logins `also`."""
    named = {login for group in policy.groups.values() for login in group.members} | set(policy.user_overrides)
    for unix_group in {name for group in policy.groups.values() for name in group.unix_groups}:
        found = unix_group_of(unix_group)
        named |= found.members if found else frozenset()
    known: dict[int, Account] = {}
    unknown = set()
    for login in named:
        try:
            account = users.by_login(login)
        except NotFound:
            unknown.add(login)
        else:
            known[account.uid] = account
    for record in records:
        if record.uid not in known:
            known[record.uid] = _owner(record, users)
    for login in also:
        with suppress(NotFound):
            account = users.by_login(login)
            known[account.uid] = account
    return People(tuple(sorted(known.values(), key=lambda account: account.login)), frozenset(unknown))


def unix_group_of(name: str) -> UnixGroup | None:
    """A Unix group with all its members, those too who have it as their first group; None if there is none."""
    try:
        entry = grp.getgrnam(name)
    except KeyError:
        return None
    first = {user.pw_name for user in pwd.getpwall() if user.pw_gid == entry.gr_gid}
    return UnixGroup(entry.gr_name, entry.gr_gid, frozenset(entry.gr_mem) | first)


def _owner(record: Record, users: Users) -> Account:
    """The owner of a record; one who is gone from the user database as the record remembers."""
    try:
        return users.by_uid(record.uid)
    except NotFound:
        return Account(record.uid, record.gid, record.user, "/")
