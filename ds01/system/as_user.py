"""Run a function with another user's uid in a child process, so that root does not follow that user's links."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from ds01.system.users import Account

TIMEOUT = 10.0  # seconds; a home on a dead NFS server would hang forever


def run_as_account(account: Account, function: Callable[[], str], *, timeout: float | None = None) -> str | None:
    """Return the function's result: root runs it as the account (see `run_as_uid`), everybody else as themselves."""
    if os.geteuid() != 0:
        return function()
    groups = os.getgrouplist(account.login, account.gid)
    return run_as_uid(account.uid, account.gid, function, groups=groups, timeout=timeout)


def run_as_uid(
    uid: int, gid: int, function: Callable[[], str], *, groups: Sequence[int] = (), timeout: float | None = None
) -> str | None:
    """Return the function's result when run as `uid` with `groups`; None if it did not finish in `timeout` seconds.

    Only root can do this.

    `function` runs in a forked child: it must not take locks or touch files that the caller has open.
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
            os._exit(0)  # always: the child must not go on with the caller's work
    os.close(write_end)
    with open(read_end, "rb") as pipe_file:
        ready, _, _ = select.select([read_end], [], [], TIMEOUT if timeout is None else timeout)
        if not ready:
            os.kill(child, signal.SIGKILL)
        output = pipe_file.read() if ready else b""
    if ready:  # do not wait for a child that hangs in the kernel; it ends when its file system answers
        os.waitpid(child, 0)
    return output[1:].decode("utf-8", "replace") if output[:1] == b"+" else None


def _close_all_but(kept_descriptor: int) -> None:
    """Close inherited files: a child that hangs in the kernel outlives its parent and would keep its locks."""
    for number in [int(path.name) for path in Path("/proc/self/fd").iterdir()]:
        if number > 2 and number != kept_descriptor:
            with suppress(OSError):
                os.close(number)
