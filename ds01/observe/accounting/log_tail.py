"""Read on in events.jsonl where the last reader stopped, across rotations.

A file is recognised by its inode and by the bytes before the position, since inodes are used again.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import closing, suppress
from hashlib import sha256
from pathlib import Path
from typing import IO

from ds01.dataclass import dataclass
from ds01.journal.log_files import MAX_LINE_BYTES, open_log, rotated_files

MARK_BYTES = 512  # before the position, to recognise the file
_BROKEN = (OSError, EOFError, zlib.error)


@dataclass(frozen=True)
class LogPosition:
    """Where a reader stopped. `mark`: of the bytes before. `mtime`: of the file then, in whole seconds."""

    inode: int
    offset: int
    mark: str
    mtime: int


class LogTail:
    """The lines of a log and its rotated files after a position; all of them without one."""

    def __init__(self, path: Path, position: LogPosition | None) -> None:
        self._path = path
        self._before = position
        self.position = position  # after what `lines` has yielded

    def lines(self) -> Iterator[bytes]:
        """Yield the complete lines, oldest first. Unreadable files are left out; a missing log has no lines."""
        files = [self._path, *rotated_files(self._path)]
        for path in reversed(self._unread(files)):
            with suppress(FileNotFoundError):
                yield from self._lines_of(path)

    def _unread(self, files: list[Path]) -> list[Path]:
        """Return the files with lines after the position, newest first."""
        before = self._before
        if before is None:
            return files
        for index, path in enumerate(files):
            if path.suffix != ".gz" and _is_at(path, before):
                return files[: index + 1]
        # It was compressed, or is gone: whatever was written since then is read, some of it again.
        self._before = None
        return [path for path in files if _mtime(path) >= before.mtime]

    def _lines_of(self, path: Path) -> Iterator[bytes]:
        with open(open_log(path), "rb") as file:
            if path.suffix == ".gz":
                yield from _decompressed(file)
                return
            status = os.fstat(file.fileno())
            if self._before is not None and status.st_ino == self._before.inode and _is_at(path, self._before):
                file.seek(self._before.offset)
            offset = file.tell()
            for line in _complete_lines(file):
                offset += len(line)
                yield line
            self.position = LogPosition(status.st_ino, offset, _mark(file, offset), int(status.st_mtime))


def _complete_lines(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines that end with a line break; an endless one in parts."""
    while line := file.readline(MAX_LINE_BYTES):
        if not line.endswith(b"\n") and len(line) < MAX_LINE_BYTES:
            return  # being written, or torn: the next writer adds a line break
        yield line


def _decompressed(file: IO[bytes]) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=file) as plain, suppress(*_BROKEN):
        while line := plain.readline(MAX_LINE_BYTES):
            yield line


def _is_at(path: Path, position: LogPosition) -> bool:
    try:
        with closing(open(open_log(path), "rb")) as file:
            status = os.fstat(file.fileno())
            if status.st_ino != position.inode or status.st_size < position.offset:
                return False
            return _mark(file, position.offset) == position.mark
    except OSError:
        return False


def _mark(file: IO[bytes], offset: int) -> str:
    begin = max(0, offset - MARK_BYTES)
    return sha256(os.pread(file.fileno(), offset - begin, begin)).hexdigest()


def _mtime(path: Path) -> int:
    try:
        return int(path.lstat().st_mtime)
    except OSError:
        return 0
