"""Queue notices for the tick to deliver, since only root can write into others' mailboxes.

An administrator who is not root puts each notice into a file here; the tick delivers it.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ds01.dataclass import dataclass
from ds01.journal.notices import Notice
from ds01.system import files
from ds01.system.data import DataError, from_json, to_json

MAX_LETTER_BYTES = 1 << 16  # bytes; a notice has a few hundred


@dataclass(frozen=True)
class Letter:
    """A notice and its recipient."""

    uid: int
    gid: int
    user: str
    notice: Notice


@dataclass(frozen=True)
class QueuedLetter:
    """A letter in the outbox, and the uid of its sender (the file's owner). `letter` None: unreadable."""

    path: Path
    sender: int
    letter: Letter | None


class Outbox:
    """The directory of waiting notices. `folder_mode` and `file_mode` are those of the state directory."""

    def __init__(self, directory: Path, *, folder_mode: int, file_mode: int) -> None:
        self._directory = directory
        self._folder_mode = folder_mode
        self._file_mode = file_mode

    def put(self, letter: Letter) -> bool:
        """Leave a notice for the tick, and return whether that worked."""
        content = json.dumps(to_json(letter), ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        try:
            files.make_directory(self._directory, mode=self._folder_mode)
            files.replace(self._directory / f"{os.urandom(8).hex()}.json", content, mode=self._file_mode)
        except OSError:
            return False
        return True

    def queued_letters(self) -> Iterator[QueuedLetter]:
        """Yield the letters, oldest name first; files that are still being written are skipped."""
        for path in sorted(self._directory.glob("*.json")):
            if path.name.startswith("."):
                continue
            with suppress(OSError):
                descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
                with open(descriptor, "rb") as file:
                    status = os.fstat(descriptor)
                    # A hard link would let a user send another user's file as their own.
                    is_letter = stat.S_ISREG(status.st_mode) and status.st_nlink == 1
                    content = file.read(MAX_LETTER_BYTES) if is_letter else b""
                yield QueuedLetter(path, status.st_uid, _letter(content))

    @staticmethod
    def discard(queued: QueuedLetter) -> None:
        """Remove a letter that was delivered, or that its sender may not send."""
        with suppress(OSError):
            queued.path.unlink()


def _letter(content: bytes) -> Letter | None:
    try:
        return from_json(Letter, json.loads(content))
    except (ValueError, DataError, RecursionError):
        return None
