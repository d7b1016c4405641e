"""Unix users and groups, as the user database has them; a state folder of one's own may add people of its own."""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from ds01.errors import NotFound


@dataclass(frozen=True)
class Account:
    """A Unix user: what the user database says, `groups` by name."""

    uid: int
    gid: int
    login: str
    home: str
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Actor:
    """Who acts. Made in one place from the process, never from a request. `via` says how: command, sudo, tick."""

    uid: int
    gid: int
    login: str
    groups: tuple[str, ...] = ()
    via: str = "command"


class Users:
    """Looks accounts up. `extra`, in the format of passwd(5), is asked first: only for a state folder of one's own."""

    def __init__(self, extra: Path | None = None) -> None:
        self._extra = _read_passwd(extra) if extra is not None else ()

    def by_uid(self, uid: int) -> Account:
        """The account of a uid. Raises NotFound."""
        for account in self._extra:
            if account.uid == uid:
                return account
        try:
            return _account(pwd.getpwuid(uid))
        except (KeyError, OverflowError):
            raise NotFound(f"no user has the uid {uid}", hint="`getent passwd` lists the users") from None

    def by_login(self, text: str) -> Account:
        """The account of a login, or of a uid in digits if no login is spelt so. Raises NotFound."""
        for account in self._extra:
            if account.login == text:
                return account
        try:
            return _account(pwd.getpwnam(text))
        except (KeyError, ValueError):
            if text.isascii() and text.isdigit() and len(text) <= 10:
                return self.by_uid(int(text))
            raise NotFound(f"there is no user {text!r}", hint="`getent passwd` lists the users") from None

    def actor(self, uid: int, *, via: str = "command") -> Actor:
        """The acting user. One without an entry in the user database acts under its number."""
        try:
            account = self.by_uid(uid)
        except NotFound:
            return Actor(uid, uid, str(uid), (), via)
        return Actor(account.uid, account.gid, account.login, account.groups, via)


def _account(entry: pwd.struct_passwd) -> Account:
    return Account(entry.pw_uid, entry.pw_gid, entry.pw_name, entry.pw_dir, _groups(entry.pw_name, entry.pw_gid))


def _groups(login: str, gid: int) -> tuple[str, ...]:
    names = []
    for number in os.getgrouplist(login, gid):
        try:
            names.append(grp.getgrgid(number).gr_name)
        except KeyError:
            continue  # a group that has a number only, as over NFS
    return tuple(names)


def _read_passwd(path: Path) -> tuple[Account, ...]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return ()
    fields = [line.split(":") for line in lines if line.count(":") == 6]
    return tuple(
        Account(int(uid), int(gid), login, home) for login, _, uid, gid, _, home, _ in fields if (uid + gid).isdigit()
    )
