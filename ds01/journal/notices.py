"""What an owner has not seen yet: a mailbox of one JSON line each, and their terminals."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ds01.system import files
from ds01.system.data import DataError, from_json, parse_json, to_json

MAX_MAILBOX_BYTES = 1 << 20  # bytes of a mailbox; past that its owner has not looked for years
# What an open answers if there is none, or a link, a socket, a directory, or a file that is not the owner's.
NO_MAILBOX_ERRNOS = frozenset({errno.ENOENT, errno.ELOOP, errno.ENXIO, errno.EISDIR, errno.EACCES, errno.EPERM})
LOCK_TIMEOUT = 1.0  # seconds for which a reader may keep the mailbox: it needs microseconds


@dataclass(frozen=True)
class Notice:
    """One thing that an owner should know. `command` is the one that changes it, if there is one."""

    time: datetime
    kind: str  # idle, runtime, hold, removal, created, conflict, stopped, released, removed, …
    container: str
    text: str
    command: str | None = None


class Mailboxes:
    """The folder of mailboxes: `UID.jsonl`, readable by its owner only. Only whoever delivers may make one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def deliver(self, uid: int, gid: int, notice: Notice) -> bool:
        """Append to an owner's mailbox, durably; whether it is there now. Only root can deliver to another uid."""
        if not self._may_deliver(uid):
            return False
        line = json.dumps(to_json(notice), ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        try:
            folder = self._open_folder()
            try:
                descriptor = _open_mailbox(folder, uid, gid)
            finally:
                os.close(folder)
        except OSError:
            return False
        try:
            # The owner can keep the lock for ever, or the tick would hang; without it a line may be lost at worst.
            _lock_or_give_up(descriptor, LOCK_TIMEOUT)
            if not files.names_open_file(self._folder / f"{uid}.jsonl", descriptor):
                return False  # somebody put another file there: the next tick delivers
            size = os.fstat(descriptor).st_size
            if size + len(line) > MAX_MAILBOX_BYTES:
                os.ftruncate(descriptor, 0)
                size = 0
            if os.write(descriptor, line) < len(line):  # a full disk takes a part
                os.ftruncate(descriptor, size)
                return False
            os.fsync(descriptor)
            return True
        except OSError:
            return False
        finally:
            os.close(descriptor)

    def take(self, uid: int) -> list[Notice]:
        """The notices that were not seen yet; they count as seen from now on. Unreadable lines are dropped."""
        path = self._folder / f"{uid}.jsonl"
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
        """Whether the owner could read a mailbox that we make: one that is ours would stay closed to them.

        In a state directory of one's own, everybody who is played there is the tester.
        """
        euid = os.geteuid()
        try:
            return euid in (0, uid) or self._folder.parent.stat().st_uid == euid
        except OSError:
            return False

    def _open_folder(self) -> int:
        """The folder, made if it is not there, in which nobody but us can make files. Raises OSError."""
        with suppress(FileExistsError):
            self._folder.mkdir(mode=0o755)
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            if status.st_uid != os.geteuid():
                # The state folder is shared: somebody made it before us.
                os.fchown(descriptor, os.geteuid(), os.getegid())
            if stat.S_IMODE(status.st_mode) != 0o755:
                os.fchmod(descriptor, 0o755)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor


def writable_terminals(uid: int, *, folder: Path = Path("/dev/pts")) -> list[Path]:
    """The terminals of a user that take messages: theirs, and writable by the group tty, as `mesg y` makes them."""
    found = []
    with suppress(OSError):
        for path in sorted(folder.iterdir()):
            with suppress(OSError):
                status = path.lstat()
                if stat.S_ISCHR(status.st_mode) and status.st_uid == uid and status.st_mode & stat.S_IWGRP:
                    found.append(path)
    return found


def show_on_terminals(uid: int, text: str, *, find: Callable[[int], list[Path]] = writable_terminals) -> None:
    """Write a line to a user's terminals. One that does not take it at once is left out."""
    printable = "".join(letter if letter.isprintable() else "�" for letter in text)
    for path in find(uid):
        with suppress(OSError):
            descriptor = os.open(path, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                os.write(descriptor, f"\r\n[ds01] {printable}\r\n".encode("utf-8", "replace"))
            finally:
                os.close(descriptor)


def _open_mailbox(folder: int, uid: int, gid: int) -> int:
    """The mailbox of an owner, theirs and nobody else's; what is no such file makes place for one. Raises OSError."""
    name = f"{uid}.jsonl"
    flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(name, flags, dir_fd=folder)
    except OSError as error:
        if error.errno not in NO_MAILBOX_ERRNOS:
            raise  # what is in it cannot be read now, and is not thrown away
    else:
        status = os.fstat(descriptor)
        if _is_mailbox(status, uid):
            if stat.S_IMODE(status.st_mode) != 0o600:
                os.fchmod(descriptor, 0o600)
            return descriptor
        os.close(descriptor)
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)
    descriptor = os.open(name, flags | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
    try:
        os.fchmod(descriptor, 0o600)  # whatever the umask is
        if os.geteuid() == 0:
            os.fchown(descriptor, uid, gid)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _is_mailbox(status: os.stat_result, uid: int) -> bool:
    """A file of the owner's that has no other name: a second one would let others read what is delivered."""
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
