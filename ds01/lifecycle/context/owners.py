"""The limits of owners, robust against a user database that does not answer, which must not change anybody's limits.

The C library answers "unknown" and "LDAP is down" alike: a user is not found, or is in fewer groups. So if the answer
looks incomplete, the group in the record counts, and the tick does not act on such containers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field, replace
from datetime import datetime
from functools import cached_property

from ds01.dataclass import dataclass
from ds01.errors import NotFound
from ds01.policy.identity import login_stem, resolve_account
from ds01.policy.model import Policy, UserLimits
from ds01.policy.resolve import group_of, resolve
from ds01.records.record import Record
from ds01.records.store.tick_memory import TickMemory
from ds01.system.users import Account, Users


@dataclass
class Owners:
    """The limits of the owners of records. Answers are cached for the life of the object, one command or tick."""

    policy: Policy
    users: Users
    memory: TickMemory = field(default_factory=TickMemory)
    _accounts: dict[int, Account | None] = field(default_factory=dict, init=False)
    _groups: dict[str, bool] = field(default_factory=dict, init=False)

    def limits_of(self, record: Record, now: datetime) -> UserLimits:
        """Return the limits of a record's owner under today's policy.

        The last known group counts if the user database does not know the owner, or lacks a Unix group that may have
        put the owner into that group. Known spellings of the login that are missing now count as well.
        """
        account, last = self._account(record.uid), self._last_group(record)
        spellings = self._missing_spellings(record.uid)
        if account is None:
            return resolve(self.policy, record.user, (), now, spellings=spellings, group=last)
        group = self._group(account)
        if group != last and (self.missing_groups(last) or self._lost_spelling(account, last)):
            group = last
        spellings |= account.spellings
        return resolve(self.policy, account.login, account.groups, now, spellings=spellings, group=group)

    @property
    def made_from(self) -> tuple[int, int, int]:
        """Return the identity of the policy, users and memory behind the answers."""
        return id(self.policy), id(self.users), id(self.memory)

    def doubt(self, record: Record, now: datetime) -> str | None:
        """Return why the limits of a record's owner are uncertain now; None if they are not."""
        account, last = self._account(record.uid), self._last_group(record)
        if account is None:
            if self.memory.is_deleted(record.uid, now) and not self.silent_groups():
                return None
            return f"the user database does not know the owner {record.user} (uid {record.uid}): deleted, or it is down"
        if lost_spellings := self._missing_spellings(record.uid):
            names = ", ".join(sorted(lost_spellings))
            return f"the user database no longer has the login {names}, which was another name of {record.user}"
        missing = self.missing_groups(last)
        if self._group(account) == last:
            return None
        if not missing:
            lost = self._lost_spelling(account, last)
            return lost and f"the user database lacks the login {lost}, which may be {record.user}'s in group {last}"
        names = ", ".join(sorted(missing))
        return f"the user database lacks the Unix group {names}, which may put {record.user} into group {last}"

    def missing_groups(self, group: str) -> frozenset[str]:
        """Return the Unix groups of a policy group that the user database had once and lacks now.

        A group that it never had is probably a typing error, which must not stop the automation. Before the first tick
        this is unknown, and every group of the policy counts as having existed.
        """
        if group not in self.policy.groups:
            return frozenset()
        named = self.policy.groups[group].unix_groups
        had = named if self.memory.unix_groups is None else named & set(self.memory.unix_groups)
        return frozenset(name for name in had if not self._exists(name))

    def silent_groups(self) -> frozenset[str]:
        """Return all Unix groups of the policy that the user database had at an earlier tick and lacks now."""
        if self.memory.unix_groups is None:
            return frozenset()
        return frozenset[str]().union(*(self.missing_groups(group) for group in self.policy.groups))

    def remember(self, records: Iterable[Record], now: datetime) -> TickMemory:
        """Return the memory for the next tick."""
        had = set(self.memory.unix_groups or ())
        had |= {name for group in self.policy.groups.values() for name in group.unix_groups if self._exists(name)}
        groups, spellings, missing = {}, {}, {}
        for record in records:
            uid, account, last = str(record.uid), self._account(record.uid), self._last_group(record)
            if self.doubt(record, now) is None and account is not None:
                groups[uid] = self._group(account)
                spellings[uid] = tuple(sorted(account.spellings))
                continue
            groups.setdefault(uid, last)
            spellings.setdefault(uid, self.memory.owner_spellings.get(uid, ()))
            if account is None:
                missing[uid] = self.memory.missing_owners.get(uid, now)
            else:
                had |= self.missing_groups(last)
        spellings = {uid: names for uid, names in spellings.items() if names}
        unix_groups = tuple(sorted(had))
        return replace(
            self.memory, unix_groups=unix_groups, owner_groups=groups, owner_spellings=spellings, missing_owners=missing
        )

    def _group(self, account: Account) -> str:
        return group_of(self.policy, account.login, account.groups, spellings=account.spellings)

    def _lost_spelling(self, account: Account, group: str) -> str | None:
        """Return a member of the group that looks like another spelling of the account and is not a login now."""
        members = self.policy.groups[group].members if group in self.policy.groups else ()
        alike = sorted(name for name in members if login_stem(name) == login_stem(account.login))
        return next((name for name in alike if self.users.uid_of(name) is None), None)

    def _missing_spellings(self, uid: int) -> frozenset[str]:
        """Return the owner's names in the policy, as of the last certain tick, that are not logins now."""
        had = self.memory.owner_spellings.get(str(uid), ())
        return frozenset(name for name in had if name in self._names and self.users.uid_of(name) is None)

    @cached_property
    def _names(self) -> frozenset[str]:
        """Return all logins in the policy's groups, overrides and exemptions."""
        members = frozenset[str]().union(*(group.members for group in self.policy.groups.values()))
        return members | set(self.policy.user_overrides) | {item.user for item in self.policy.exemptions}

    def _last_group(self, record: Record) -> str:
        """Return the owner's group at the last certain tick, or at the create."""
        return self.memory.owner_groups.get(str(record.uid), record.group)

    def _account(self, uid: int) -> Account | None:
        if uid not in self._accounts:
            try:
                self._accounts[uid] = resolve_account(self.policy, self.users.by_uid(uid), self.users)
            except NotFound:
                self._accounts[uid] = None
        return self._accounts[uid]

    def _exists(self, unix_group: str) -> bool:
        if unix_group not in self._groups:
            self._groups[unix_group] = self.users.has_group(unix_group)
        return self._groups[unix_group]
