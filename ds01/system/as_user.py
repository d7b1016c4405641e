"""Doing one thing with somebody else's uid, in a child: root's own look would follow their links anywhere."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from ds01.system.users import Account

PATIENCE = 10.0  # seconds; a home on a dead NFS server would hang for ever


def run_for(account: Account, act: Callable[[], str]) -> str | None:
    """What `act` says: of root with the account's uid, as `run_as`; everybody else acts as themselves."""
    if os.geteuid() != 0:
        return act()
    return run_as(account.uid, account.gid, act, groups=os.getgrouplist(account.login, account.gid))


def run_as(uid: int, gid: int, act: Callable[[], str], *, groups: Sequence[int] = ()) -> str | None:
    """What `act` says when it runs as `uid`, in `groups` too; None if it did not come to an end. Only root can become
    others.

    `act` must not take locks or touch what the caller has open: it runs in a forked child.
    """
    if os.geteuid() == uid:
        return act()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            _close_all_but(writing)
            os.setgroups(list(groups))
            os.setgid(gid)
            os.setuid(uid)
            os.write(writing, b"+" + act().encode("utf-8", "replace"))
        finally:
            os._exit(0)  # whatever happens: a second process must not go on with the caller's work
    os.close(writing)
    with open(reading, "rb") as answer:
        ready, _, _ = select.select([reading], [], [], PATIENCE)
        if not ready:
            os.kill(child, signal.SIGKILL)
        said = answer.read() if ready else b""
    if ready:  # a child that hangs in the kernel cannot be waited for; it ends when its file system answers
        os.waitpid(child, 0)
    return said[1:].decode("utf-8", "replace") if said[:1] == b"+" else None


def _close_all_but(kept: int) -> None:
    """A child that hangs in the kernel outlives its parent: with our files it would keep our locks, for ever."""
    for number in [int(path.name) for path in Path("/proc/self/fd").iterdir()]:
        if number > 2 and number != kept:
            with suppress(OSError):
                os.close(number)
