"""What an owner has not seen yet: a mailbox of one JSON line each, their terminals, and a program of the lab's."""

from __future__ import annotations

import fcntl
import json
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ds01.system import files
from ds01.system.data import DataError, from_json, to_json

LARGEST = 1 << 20  # bytes of a mailbox; past that its owner has not looked for years


@dataclass(frozen=True)
class Notice:
    """One thing that an owner should know. `command` is the one that changes it, if there is one."""

    time: datetime
    kind: str  # idle, runtime, hold, removal, created, conflict, stopped, released, removed, …
    container: str
    text: str
    command: str | None = None


class Mailboxes:
    """The folder of mailboxes: `UID.jsonl`, readable by its owner only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def deliver(self, uid: int, gid: int, notice: Notice) -> bool:
        """Append to an owner's mailbox, durably; whether it is there now. Making one for another uid needs root."""
        path = self._folder / f"{uid}.jsonl"
        line = json.dumps(to_json(notice), ensure_ascii=False).encode() + b"\n"
        try:
            files.make_folder(self._folder, mode=0o755)
            descriptor = files.open_shared(path, os.O_RDWR | os.O_APPEND, mode=0o600)
        except OSError:
            return False
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return False
            if os.geteuid() == 0:
                os.fchown(descriptor, uid, gid)
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # held for microseconds by whoever reads
            if os.fstat(descriptor).st_size + len(line) > LARGEST:
                os.ftruncate(descriptor, 0)
            os.write(descriptor, line)
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
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return []
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size == 0:
                return []
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            lines = file.read(LARGEST).splitlines()
            os.ftruncate(descriptor, 0)
        notices = []
        for line in lines:
            with suppress(ValueError, DataError):
                notices.append(from_json(Notice, json.loads(line)))
        return notices


def terminals(uid: int, *, folder: Path = Path("/dev/pts")) -> list[Path]:
    """The terminals of a user that take messages: theirs, and writable by the group tty, as `mesg y` makes them."""
    found = []
    with suppress(OSError):
        for path in sorted(folder.iterdir()):
            with suppress(OSError):
                status = path.lstat()
                if stat.S_ISCHR(status.st_mode) and status.st_uid == uid and status.st_mode & stat.S_IWGRP:
                    found.append(path)
    return found


def show_on_terminals(uid: int, text: str, *, find: Callable[[int], list[Path]] = terminals) -> None:
    """Write a line to a user's terminals. One that does not take it at once is left out."""
    clean = "".join(letter if letter.isprintable() else "�" for letter in text)
    for path in find(uid):
        with suppress(OSError):
            descriptor = os.open(path, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                os.write(descriptor, f"\r\n[ds01] {clean}\r\n".encode())
            finally:
                os.close(descriptor)
