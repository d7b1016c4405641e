"""Notices that wait for the tick: only root can write into others' mailboxes.

An administrator who is not root leaves a notice here, a file each; the tick delivers it.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ds01.journal.notices import Notice
from ds01.system import files
from ds01.system.data import DataError, from_json, to_json

MAX_LETTER_BYTES = 1 << 16  # bytes; a notice has a few hundred


@dataclass(frozen=True)
class Letter:
    """A notice and its addressee."""

    uid: int
    gid: int
    user: str
    notice: Notice


@dataclass(frozen=True)
class QueuedLetter:
    """A letter in the outbox, and the uid of whoever left it, which the file system says; None: it cannot be read."""

    path: Path
    sender: int
    letter: Letter | None


class Outbox:
    """The folder of waiting notices. `folder_mode` and `file_mode` are those of the state folder."""

    def __init__(self, folder: Path, *, folder_mode: int, file_mode: int) -> None:
        self._folder = folder
        self._folder_mode = folder_mode
        self._file_mode = file_mode

    def put(self, letter: Letter) -> bool:
        """Leave a notice for the tick; whether it is there."""
        content = json.dumps(to_json(letter), ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        try:
            files.make_directory(self._folder, mode=self._folder_mode)
            files.replace(self._folder / f"{os.urandom(8).hex()}.json", content, mode=self._file_mode)
        except OSError:
            return False
        return True

    def queued_letters(self) -> Iterator[QueuedLetter]:
        """The letters, oldest name first; files that are being written are left out."""
        for path in sorted(self._folder.glob("*.json")):
            if path.name.startswith("."):
                continue
            with suppress(OSError):
                descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
                with open(descriptor, "rb") as file:
                    status = os.fstat(descriptor)
                    # A second name would let somebody pass off another's file as one's own.
                    is_letter = stat.S_ISREG(status.st_mode) and status.st_nlink == 1
                    content = file.read(MAX_LETTER_BYTES) if is_letter else b""
                yield QueuedLetter(path, status.st_uid, _letter(content))

    @staticmethod
    def discard(queued: QueuedLetter) -> None:
        """Remove a letter that was delivered, or that nobody may send."""
        with suppress(OSError):
            queued.path.unlink()


def _letter(content: bytes) -> Letter | None:
    try:
        return from_json(Letter, json.loads(content))
    except (ValueError, DataError, RecursionError):
        return None
