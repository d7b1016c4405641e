"""Doing one thing with somebody else's uid, in a child: root's own look would follow their links anywhere."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from ds01.system.users import Account

TIMEOUT = 10.0  # seconds; a home on a dead NFS server would hang for ever


def run_as_account(account: Account, function: Callable[[], str]) -> str | None:
    """What `act` says: of root with the account's uid, as `run_as_uid`; everybody else acts as themselves."""
    if os.geteuid() != 0:
        return function()
    return run_as_uid(account.uid, account.gid, function, groups=os.getgrouplist(account.login, account.gid))


def run_as_uid(uid: int, gid: int, function: Callable[[], str], *, groups: Sequence[int] = ()) -> str | None:
    """What `act` says when it runs as `uid`, in `groups` too; None if it did not come to an end. Only root can become
    others.

    `act` must not take locks or touch what the caller has open: it runs in a forked child.
    """
    if os.geteuid() == uid:
        return function()
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            _close_all_but(write_end)
            os.setgroups(list(groups))
            os.setgid(gid)
            os.setuid(uid)
            os.write(write_end, b"+" + function().encode("utf-8", "replace"))
        finally:
            os._exit(0)  # whatever happens: a second process must not go on with the caller's work
    os.close(write_end)
    with open(read_end, "rb") as pipe_file:
        ready, _, _ = select.select([read_end], [], [], TIMEOUT)
        if not ready:
            os.kill(child, signal.SIGKILL)
        output = pipe_file.read() if ready else b""
    if ready:  # a child that hangs in the kernel cannot be waited for; it ends when its file system answers
        os.waitpid(child, 0)
    return output[1:].decode("utf-8", "replace") if output[:1] == b"+" else None


def _close_all_but(kept_descriptor: int) -> None:
    """A child that hangs in the kernel outlives its parent: with our files it would keep our locks, for ever."""
    for number in [int(path.name) for path in Path("/proc/self/fd").iterdir()]:
        if number > 2 and number != kept_descriptor:
            with suppress(OSError):
                os.close(number)
