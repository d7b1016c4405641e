"""Deliver notices to owners: into a mailbox (one JSON object a line), and onto their terminals."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from ds01.dataclass import dataclass
from ds01.system import files
from ds01.system.data import DataError, from_json, parse_json, to_json

MAX_MAILBOX_BYTES = 1 << 20  # bytes of a mailbox; beyond that, its owner has not read it for years
# Errors of an open if the path is missing, a link, a socket, a directory, or not the owner's file.
NO_MAILBOX_ERRNOS = frozenset({errno.ENOENT, errno.ELOOP, errno.ENXIO, errno.EISDIR, errno.EACCES, errno.EPERM})
LOCK_TIMEOUT = 1.0  # seconds to wait for a reader's lock; a reader needs microseconds


@dataclass(frozen=True)
class Notice:
    """One message for an owner. `command` is the command that changes the situation, if any."""

    time: datetime
    kind: str  # idle, runtime, hold, removal, created, conflict, stopped, released, removed, …
    container: str
    text: str
    command: str | None = None


class Mailboxes:
    """The directory of mailboxes: `UID.jsonl`, readable by the owner only. Only delivery creates one."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def deliver(self, uid: int, gid: int, notice: Notice) -> bool:
        """Append to an owner's mailbox durably; return whether that worked. Only root can deliver to another uid."""
        if not self._may_deliver(uid):
            return False
        line = json.dumps(to_json(notice), ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        try:
            directory = self._open_directory()
            try:
                descriptor = _open_mailbox(directory, uid, gid)
            finally:
                os.close(directory)
        except OSError:
            return False
        try:
            # An owner who keeps the lock must not block the tick; without the lock a line may be lost at worst.
            _lock_or_give_up(descriptor, LOCK_TIMEOUT)
            if not files.names_open_file(self._directory / f"{uid}.jsonl", descriptor):
                return False  # the file was replaced meanwhile: the next tick delivers
            size = os.fstat(descriptor).st_size
            if size + len(line) > MAX_MAILBOX_BYTES:
                os.ftruncate(descriptor, 0)
                size = 0
            if os.write(descriptor, line) < len(line):  # a full disk writes only a part
                os.ftruncate(descriptor, size)
                return False
            os.fsync(descriptor)
            return True
        except OSError:
            return False
        finally:
            os.close(descriptor)

    def take(self, uid: int) -> list[Notice]:
        """Return the unread notices and mark them as read. Unreadable lines are dropped."""
        path = self._directory / f"{uid}.jsonl"
        try:
            if path.lstat().st_size == 0:
                return []
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return []
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return []
            _lock_or_give_up(descriptor, LOCK_TIMEOUT)
            lines = file.read(MAX_MAILBOX_BYTES).splitlines()
            os.ftruncate(descriptor, 0)
        notices = []
        for line in lines:
            with suppress(DataError):
                notices.append(from_json(Notice, parse_json(line)))
        return notices

    def _may_deliver(self, uid: int) -> bool:
        """Return whether a mailbox that this process creates would be readable by its owner.

        In a sandbox all simulated users are the tester.
        """
        euid = os.geteuid()
        try:
            return euid in (0, uid) or self._directory.parent.stat().st_uid == euid
        except OSError:
            return False

    def _open_directory(self) -> int:
        """Open the directory, created if missing, in which only this user can create files. Raises OSError."""
        with suppress(FileExistsError):
            self._directory.mkdir(mode=0o755)
        descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            if status.st_uid != os.geteuid():
                # The state directory is shared: another user created this directory first.
                os.fchown(descriptor, os.geteuid(), os.getegid())
            if stat.S_IMODE(status.st_mode) != 0o755:
                os.fchmod(descriptor, 0o755)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor


def writable_terminals(uid: int, *, directory: Path = Path("/dev/pts")) -> list[Path]:
    """Return a user's terminals that accept messages: owned by the user, and writable by the group tty (`mesg y`)."""
    found = []
    with suppress(OSError):
        for path in sorted(directory.iterdir()):
            with suppress(OSError):
                status = path.lstat()
                if stat.S_ISCHR(status.st_mode) and status.st_uid == uid and status.st_mode & stat.S_IWGRP:
                    found.append(path)
    return found


def show_on_terminals(uid: int, text: str, *, find: Callable[[int], list[Path]] = writable_terminals) -> None:
    """Write a line to a user's terminals. A terminal that would block is skipped."""
    printable = "".join(letter if letter.isprintable() else "�" for letter in text)
    for path in find(uid):
        with suppress(OSError):
            descriptor = os.open(path, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                os.write(descriptor, f"\r\n[ds01] {printable}\r\n".encode("utf-8", "replace"))
            finally:
                os.close(descriptor)


def _open_mailbox(directory: int, uid: int, gid: int) -> int:
    """Open the owner's mailbox, replacing anything that is not a regular file owned by them. Raises OSError."""
    name = f"{uid}.jsonl"
    flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(name, flags, dir_fd=directory)
    except OSError as error:
        if error.errno not in NO_MAILBOX_ERRNOS:
            raise  # not readable now: keep its content
    else:
        status = os.fstat(descriptor)
        if _is_mailbox(status, uid):
            if stat.S_IMODE(status.st_mode) != 0o600:
                os.fchmod(descriptor, 0o600)
            return descriptor
        os.close(descriptor)
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=directory)
    descriptor = os.open(name, flags | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=directory)
    try:
        os.fchmod(descriptor, 0o600)  # whatever the umask
        if os.geteuid() == 0:
            os.fchown(descriptor, uid, gid)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _is_mailbox(status: os.stat_result, uid: int) -> bool:
    """Return whether this is a regular file of the owner with one link: a second one could let others read it."""
    owner = uid if os.geteuid() == 0 else os.geteuid()
    return stat.S_ISREG(status.st_mode) and status.st_uid == owner and status.st_nlink == 1


def _lock_or_give_up(descriptor: int, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return
            time.sleep(0.01)
