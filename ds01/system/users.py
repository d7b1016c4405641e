"""Look up Unix users and groups in the user database; a sandbox may add users of its own."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Collection
from pathlib import Path

from ds01.dataclass import dataclass
from ds01.errors import NotFound


@dataclass(frozen=True)
class Account:
    """A Unix user, from the user database.

    `groups` and `spellings` are empty until the policy is resolved: the policy's Unix groups that the user is in, and
    the policy's logins that mean this user but are spelled differently.
    """

    uid: int
    gid: int
    login: str
    home: str
    groups: tuple[str, ...] = ()
    spellings: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Actor:
    """Who acts: taken from the process, never from a request. `via` says how: command, sudo, tick."""

    uid: int
    gid: int
    login: str
    via: str = "command"


class Users:
    """Looks up accounts. `extra`, a file in passwd(5) format, comes first; only sandboxes have one.

    Spellings and groups are cached for the life of this object, which is one command.
    """

    def __init__(self, extra: Path | None = None) -> None:
        self._extra_accounts = _read_passwd(extra) if extra is not None else ()
        self._logins: dict[str, tuple[int, str] | None] = {}  # spelling -> uid and canonical login
        self._members: dict[int, frozenset[int]] = {}  # uid -> gids
        self._gids: dict[str, int | None] = {}

    def clear_cache(self) -> None:
        """Forget cached spellings and groups: a wait in the queue may last for days."""
        self._logins.clear()
        self._members.clear()
        self._gids.clear()

    def by_uid(self, uid: int) -> Account:
        """Return the account of a uid. Raises NotFound."""
        for account in self._extra_accounts:
            if account.uid == uid:
                return account
        try:
            return _account(pwd.getpwuid(uid))
        except (KeyError, OverflowError):
            raise NotFound(f"no user has the uid {uid}", hint="`getent passwd` lists the users") from None

    def by_login(self, text: str) -> Account:
        """Return the account of a login, or of a uid in digits if no login has that name. Raises NotFound."""
        for account in self._extra_accounts:
            if account.login == text:
                return self.by_uid(account.uid)  # under the first login, if the uid has several
        try:
            return _account(pwd.getpwnam(text))
        except (KeyError, ValueError):
            if text.isascii() and text.isdigit() and len(text) <= 10:
                return self.by_uid(int(text))
            raise NotFound(f"unknown user {text!r}", hint="`getent passwd` lists the users") from None

    def has_group(self, name: str) -> bool:
        """Return whether the user database has this Unix group; False too if it does not answer."""
        return self._gid(name) is not None

    def actor(self, uid: int, *, via: str = "command") -> Actor:
        """Return the acting user. A uid without an entry in the user database has its number as the login."""
        try:
            account = self.by_uid(uid)
        except NotFound:
            return Actor(uid, uid, str(uid), via)
        return Actor(account.uid, account.gid, account.login, via)

    def uid_of(self, login: str) -> int | None:
        """Return the uid of a login, however it is spelled, or None. Digits are a login here, not a uid."""
        found = self._cached_login(login)
        return None if found is None else found[0]

    def canonical_login(self, login: str) -> str:
        """Return the login as the user database spells it; an unknown login is returned unchanged."""
        found = self._cached_login(login)
        return login if found is None else found[1]

    def has_uid(self, text: str) -> bool:
        """Return whether these digits are the uid of a user."""
        try:
            return text.isascii() and text.isdigit() and self.by_login(text).uid == int(text)
        except NotFound:
            return False

    def groups_of(self, account: Account, names: Collection[str]) -> tuple[str, ...]:
        """Return which of the Unix groups `names` the account is in.

        Looks up the names rather than the account's groups: the names are few, the groups can be hundreds.
        """
        if not names or any(extra.uid == account.uid for extra in self._extra_accounts):
            return ()
        if account.uid not in self._members:
            self._members[account.uid] = frozenset(os.getgrouplist(account.login, account.gid))
        return tuple(name for name in sorted(names) if self._gid(name) in self._members[account.uid])

    def _cached_login(self, login: str) -> tuple[int, str] | None:
        if login not in self._logins:
            self._logins[login] = self._query_login(login)
        return self._logins[login]

    def _query_login(self, login: str) -> tuple[int, str] | None:
        uid = next((account.uid for account in self._extra_accounts if account.login == login), None)
        if uid is not None:
            return uid, next(account.login for account in self._extra_accounts if account.uid == uid)
        try:
            entry = pwd.getpwnam(login)
        except (KeyError, ValueError):
            return None
        return entry.pw_uid, entry.pw_name

    def _gid(self, name: str) -> int | None:
        if name not in self._gids:
            try:
                self._gids[name] = grp.getgrnam(name).gr_gid
            except (KeyError, ValueError):
                self._gids[name] = None
        return self._gids[name]


def _account(entry: pwd.struct_passwd) -> Account:
    return Account(entry.pw_uid, entry.pw_gid, entry.pw_name, entry.pw_dir)


def _read_passwd(path: Path) -> tuple[Account, ...]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return ()
    fields = [line.split(":") for line in lines if line.count(":") == 6]
    return tuple(
        Account(int(uid), int(gid), login, home) for login, _, uid, gid, _, home, _ in fields if (uid + gid).isdigit()
    )
