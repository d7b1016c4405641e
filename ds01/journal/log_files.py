"""Read log files that logrotate rotates: backwards from the end, and following what is appended.

The log directory is writable by a group, so whatever lies there may be a link, a pipe, or a line without end.
"""

from __future__ import annotations

import gzip
import os
import re
import stat
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Generic, TypeVar

from ds01.dataclass import dataclass

T = TypeVar("T")

BLOCK_SIZE = 1 << 16  # bytes
MAX_LINE_BYTES = 1 << 20  # bytes; an event has a few hundred
_BROKEN = (OSError, EOFError, zlib.error)  # of a compressed file that is torn


class StopReading(Exception):
    """Raised by a reader of lines: older lines are not wanted either."""


@dataclass(frozen=True)
class LogStatus:
    """A log and its rotated files. `changed_at` None: it does not exist."""

    bytes: int
    changed_at: datetime | None
    rotated: int
    rotated_bytes: int


def rotated_files(path: Path) -> list[Path]:
    """Return the rotated files of a log, newest first: `.1`, `.2.gz`, and with logrotate's `dateext` `-20261130.gz`."""
    pattern = re.compile(re.escape(path.name) + r"(?:\.(?P<number>\d{1,6})|-(?P<date>\d{8,14}))(?:\.gz)?")
    numbered: list[tuple[int, Path]] = []
    dated: list[tuple[str, Path]] = []
    with suppress(OSError):
        for entry in path.parent.iterdir():
            match = pattern.fullmatch(entry.name)
            if match is not None and match["number"]:
                numbered.append((int(match["number"]), entry))
            elif match is not None:
                dated.append((match["date"], entry))
    return [entry for _, entry in sorted(numbered)] + [entry for _, entry in sorted(dated, reverse=True)]


def log_status(path: Path) -> LogStatus:
    """Return size and last change of a log. Raises OSError, but not for a missing file."""
    rotated = []
    for each in rotated_files(path):
        with suppress(OSError):
            rotated.append(each.lstat().st_size)
    try:
        current = path.lstat()
    except FileNotFoundError:
        return LogStatus(0, None, len(rotated), sum(rotated))
    changed_at = datetime.fromtimestamp(current.st_mtime, timezone.utc)
    return LogStatus(current.st_size, changed_at, len(rotated), sum(rotated))


def open_log(path: Path) -> int:
    """Open a regular file for reading, never through a link, and return its descriptor. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path} is not a regular file")
    return descriptor


@dataclass(frozen=True)
class LastLines(Generic[T]):
    """Which of the last lines are wanted: `parse` returns a value for a line, or None to leave it out.

    `limit`: at most so many values; None: all. `since`: rotated files that are older are not read.
    """

    parse: Callable[[bytes], T | None]
    limit: int | None
    since: datetime | None = None

    def has_room(self, found: Sequence[T]) -> bool:
        """Return whether more values are wanted."""
        return self.limit is None or len(found) < self.limit


def read_last(path: Path, wanted: LastLines[T]) -> list[T]:
    """Return the values of the last lines of a log and its rotated files, oldest first.

    Raises OSError if the log itself cannot be read; a missing one is empty. Unreadable rotated files are left out.
    """
    try:
        descriptor = open_log(path)
    except FileNotFoundError:
        return _read_rotated(path, wanted, [])
    try:
        return _read_open(path, descriptor, os.fstat(descriptor).st_size, wanted)
    finally:
        os.close(descriptor)


def _read_open(path: Path, descriptor: int, end: int, wanted: LastLines[T]) -> list[T]:
    """As `read_last`, with the log opened as `descriptor`, and up to its byte `end`."""
    found: list[T] = []
    try:
        _collect(lines_backwards(descriptor, end), wanted, found)
    except StopReading:
        return found[::-1]
    return _read_rotated(path, wanted, found)


def _read_rotated(path: Path, wanted: LastLines[T], found: list[T]) -> list[T]:
    """Continue with the rotated files. `found`: newest first, what the log itself has."""
    with suppress(StopReading):
        for rotated in rotated_files(path):
            if not wanted.has_room(found):
                break
            with suppress(OSError), open(open_log(rotated), "rb") as file:
                status = os.fstat(file.fileno())
                if wanted.since is not None and status.st_mtime < wanted.since.timestamp():
                    break
                if rotated.suffix == ".gz":
                    found += _parse_compressed(file, wanted, found)
                else:
                    _collect(lines_backwards(file.fileno(), status.st_size), wanted, found)
    return found[::-1]


def _collect(lines: Iterator[bytes], wanted: LastLines[T], found: list[T]) -> None:
    if not wanted.has_room(found):
        return
    for line in lines:
        value = wanted.parse(line)
        if value is not None:
            found.append(value)
            if not wanted.has_room(found):
                return


def _parse_compressed(file: IO[bytes], wanted: LastLines[T], found: Sequence[T]) -> list[T]:
    """Return the last values of a compressed file, newest first. It can only be read forwards."""
    values: deque[T] = deque(maxlen=None if wanted.limit is None else wanted.limit - len(found))
    with gzip.GzipFile(fileobj=file) as plain, suppress(*_BROKEN):
        while line := plain.readline(MAX_LINE_BYTES):
            # Old lines come first here, so a reader that has seen enough of them cannot stop.
            with suppress(StopReading):
                value = wanted.parse(line.rstrip(b"\n"))
                if value is not None:
                    values.append(value)
    return list(values)[::-1]


def lines_backwards(descriptor: int, end: int) -> Iterator[bytes]:
    """Yield the lines of a file before byte `end`, the last one first; empty and endless ones are left out."""
    tail, position, is_endless = b"", end, False
    while position > 0:
        size = min(BLOCK_SIZE, position)
        position -= size
        parts = (os.pread(descriptor, size, position) + tail).split(b"\n")
        if is_endless and len(parts) > 1:  # its first bytes
            parts[-1], is_endless = b"", False
        tail = parts[0]
        yield from filter(None, reversed(parts[1:]))
        if is_endless or len(tail) > MAX_LINE_BYTES:
            tail, is_endless = b"", True
    if tail:
        yield tail


class LogFollower:
    """Returns the lines appended to a log, also across rotations. Starts after the last complete line."""

    def __init__(self, path: Path) -> None:
        """Open the log if it exists. Raises OSError."""
        self._path = path
        self._descriptor: int | None = None
        self._old: int | None = None  # the rotated file: a command may have opened it just before
        self._position = 0
        self._old_position = 0
        with suppress(FileNotFoundError):
            self._descriptor = open_log(path)
            self._position = _end_of_last_line(self._descriptor)

    def read_last(self, wanted: LastLines[T]) -> list[T]:
        """As `read_last`, for the lines before those that `new_lines` returns."""
        if self._descriptor is None:
            return _read_rotated(self._path, wanted, [])
        return _read_open(self._path, self._descriptor, self._position, wanted)

    def new_lines(self) -> list[bytes]:
        """Return the complete lines appended since the last call, oldest first. Raises OSError."""
        lines: list[bytes] = []
        if self._old is not None:
            self._old_position = _read_on(self._old, self._old_position, lines)
            os.close(self._old)
            self._old = None
        if self._descriptor is not None:
            if os.fstat(self._descriptor).st_size < self._position:  # truncated
                self._position = 0
            self._position = _read_on(self._descriptor, self._position, lines)
        self._follow_rotation(lines)
        return lines

    def close(self) -> None:
        """Close the files."""
        for descriptor in (self._descriptor, self._old):
            if descriptor is not None:
                os.close(descriptor)
        self._descriptor = self._old = None

    def _follow_rotation(self, lines: list[bytes]) -> None:
        try:
            status = self._path.lstat()
        except FileNotFoundError:
            return  # renamed, and the new one is not there yet
        if self._descriptor is not None and os.path.samestat(status, os.fstat(self._descriptor)):
            return
        with suppress(FileNotFoundError):
            descriptor = open_log(self._path)
            self._old, self._old_position = self._descriptor, self._position
            self._descriptor = descriptor
            self._position = _read_on(descriptor, 0, lines)


def _end_of_last_line(descriptor: int) -> int:
    """Return the position after the last line break; 0 without one nearby."""
    position = os.fstat(descriptor).st_size
    least = max(0, position - MAX_LINE_BYTES)
    while position > least:
        size = min(BLOCK_SIZE, position - least)
        found = os.pread(descriptor, size, position - size).rfind(b"\n")
        if found >= 0:
            return position - size + found + 1
        position -= size
    return position


def _read_on(descriptor: int, position: int, lines: list[bytes]) -> int:
    """Append the complete lines after `position`; return the position after the last of them."""
    rest = b""
    while block := os.pread(descriptor, BLOCK_SIZE, position + len(rest)):
        *complete, remainder = (rest + block).split(b"\n")
        position += len(rest) + len(block) - len(remainder)
        lines += filter(None, complete)
        rest = remainder
        if len(rest) > MAX_LINE_BYTES:  # endless: its bytes are skipped
            position, rest = position + len(rest), b""
    return position
