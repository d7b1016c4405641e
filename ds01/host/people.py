"""Collect the users of ds01: those in the policy who exist, and the owners of containers."""

from __future__ import annotations

import grp
import pwd
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import field, replace

from ds01.dataclass import dataclass
from ds01.errors import NotFound
from ds01.policy.identity import resolve_account
from ds01.policy.model import Policy
from ds01.records.record import Record
from ds01.system.users import Account, Users

DOCKER_GROUP = "docker"  # members of this Unix group may use Docker


@dataclass(frozen=True)
class UnixGroup:
    """A group of the user database."""

    name: str
    gid: int
    members: frozenset[str]


@dataclass(frozen=True)
class People:
    """The existing accounts, sorted by login, each with the groups and spellings that the policy uses."""

    accounts: tuple[Account, ...] = ()
    unknown_logins: frozenset[str] = field(default_factory=frozenset)  # logins in the policy that do not exist


def collect_people(*policies: Policy, records: Iterable[Record], users: Users, also: Iterable[str] = ()) -> People:
    """Return the users in the policies' groups and overrides, the owners of records, and the logins `also`."""
    named = {login for policy in policies for group in policy.groups.values() for login in group.members}
    named |= {login for policy in policies for login in policy.user_overrides}
    named |= _members({name for policy in policies for group in policy.groups.values() for name in group.unix_groups})
    accounts: dict[int, Account] = {}
    unknown_logins = set()
    for login in named:
        uid = users.uid_of(login)
        if uid is None:
            unknown_logins.add(login)
        elif uid not in accounts:
            with suppress(NotFound):
                accounts[uid] = users.by_uid(uid)
    for record in records:
        if record.uid not in accounts:
            accounts[record.uid] = _owner_account(record, users)
    for login in also:
        with suppress(NotFound):
            account = users.by_login(login)
            accounts[account.uid] = account
    identified = (_with_groups(policies, account, users) for account in accounts.values())
    return People(tuple(sorted(identified, key=lambda account: account.login)), frozenset(unknown_logins))


def find_unix_group(name: str) -> UnixGroup | None:
    """Return a Unix group with all its members, primary ones included; None if it does not exist."""
    try:
        entry = grp.getgrnam(name)
    except KeyError:
        return None
    primary_members = {user.pw_name for user in pwd.getpwall() if user.pw_gid == entry.gr_gid}
    return UnixGroup(entry.gr_name, entry.gr_gid, frozenset(entry.gr_mem) | primary_members)


def _members(names: Iterable[str]) -> set[str]:
    """Return the members of Unix groups. All accounts are listed at most once: a directory service is slow."""
    entries = []
    for name in names:
        with suppress(KeyError, ValueError):
            entries.append(grp.getgrnam(name))
    gids = {entry.gr_gid for entry in entries}
    primary_members = {user.pw_name for user in pwd.getpwall() if user.pw_gid in gids} if gids else set()
    return primary_members.union(*(entry.gr_mem for entry in entries))


def _with_groups(policies: Sequence[Policy], account: Account, users: Users) -> Account:
    identities = [resolve_account(policy, account, users) for policy in policies]
    groups = sorted({name for identity in identities for name in identity.groups})
    return replace(
        account, groups=tuple(groups), spellings=frozenset().union(*(identity.spellings for identity in identities))
    )


def _owner_account(record: Record, users: Users) -> Account:
    """Return the owner of a record; from the record if the user database does not know them."""
    try:
        return users.by_uid(record.uid)
    except NotFound:
        return Account(record.uid, record.gid, record.user, "/")
