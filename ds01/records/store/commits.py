"""The commit counter: tells whether records were written since the last read.

Timestamps cannot tell: with 128-byte inodes ext4 stores whole seconds, and inodes are reused at once. The counter is
in the ledger's lock file and only changes under that lock. A commit counts itself as begun before it writes a record
and as ended afterwards, so readers also notice a commit that was killed in between.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import zlib
from dataclasses import replace
from pathlib import Path

from ds01.dataclass import dataclass
from ds01.system import files

SIZE = 4096  # bytes: one page, always written whole
MAX_BODY_SIZE = SIZE - 500  # for the names of the latest commits


@dataclass(frozen=True)
class CommitMark:
    """A point in the sequence of commits, up to which everything was read. Without an epoch nothing was."""

    epoch: str = ""
    commit: int = -1


@dataclass(frozen=True)
class CommitCounter:
    """The content of the lock file. A different `epoch` means that the file was replaced.

    `names`: the containers whose records the latest commits wrote; the last name belongs to commit number `begun`.
    """

    epoch: str = ""
    begun: int = 0
    ended: int = 0
    names: tuple[str, ...] = ()

    def names_since(self, mark: CommitMark) -> frozenset[str] | None:
        """Return the containers whose records may have been written since `mark`; None: any of them."""
        if not self.epoch or mark.epoch != self.epoch or not 0 <= mark.commit <= self.begun:
            return None
        count = self.begun - mark.commit
        return frozenset(self.names[len(self.names) - count :]) if count <= len(self.names) else None


def read(path: Path) -> CommitCounter:
    """Return the counter, read without the lock. A torn or missing counter has no epoch: anything may have changed."""
    try:
        return _parse(files.read(path))
    except FileNotFoundError:
        return CommitCounter()


def read_locked(descriptor: int) -> CommitCounter:
    """Return the counter from the locked file. Raises OSError."""
    return _parse(os.pread(descriptor, SIZE, 0))


def begin(descriptor: int, name: str) -> None:
    """Count a commit of the record `name` as begun. Raises OSError."""
    before = read_locked(descriptor)
    epoch = before.epoch or secrets.token_hex(8)
    _write(descriptor, CommitCounter(epoch, before.begun + 1, before.ended, (*before.names, name)))


def end(descriptor: int) -> CommitMark:
    """Count all begun commits as ended, and return the mark after them. Raises OSError."""
    now = read_locked(descriptor)
    _write(descriptor, replace(now, ended=now.begun))
    return CommitMark(now.epoch, now.begun)


def _parse(content: bytes) -> CommitCounter:
    body, _, check = content.rstrip().rpartition(b" ")
    try:
        if check != _checksum(body):
            return CommitCounter()
        epoch, begun, ended, names = json.loads(body)
        # Checked by hand, for speed: each command reads this several times.
        if isinstance(epoch, str) and type(begun) is type(ended) is int and all(type(name) is str for name in names):
            return CommitCounter(epoch, begun, ended, tuple(names))
    except (ValueError, TypeError, RecursionError):
        pass
    return CommitCounter()


def _write(descriptor: int, commits: CommitCounter) -> None:
    while len(body := _body(commits)) > MAX_BODY_SIZE:
        commits = replace(commits, names=commits.names[len(commits.names) // 4 + 1 :])
    content = (body + b" " + _checksum(body)).ljust(SIZE - 1) + b"\n"
    try:
        written = os.pwrite(descriptor, content, 0)
    except OSError as error:
        if error.errno == errno.EBADF:  # opened read-only, since the file system is read-only
            raise OSError(errno.EROFS, os.strerror(errno.EROFS)) from error
        raise
    if written < len(content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _body(commits: CommitCounter) -> bytes:
    fields = [commits.epoch, commits.begun, commits.ended, commits.names]
    return json.dumps(fields, separators=(",", ":")).encode()


def _checksum(body: bytes) -> bytes:
    """Return the checksum by which a reader without the lock recognises half a write."""
    return b"%08x" % zlib.crc32(body)
