"""Sum up the files of a directory, within a time limit. Run it with the owner's rights (system.as_user)."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

from ds01.dataclass import dataclass

MAX_DEPTH = 200  # levels of directories; each costs an open file
_BLOCK = 512  # bytes: the unit of st_blocks, see stat(2)


@dataclass(frozen=True)
class TreeSize:
    """The disk space of a directory's files. `unreadable`: directories that are left out."""

    bytes: int
    unreadable: int


class OutOfTime(Exception):
    """The sum took too long."""


def tree_size(root: Path, *, owner: int, until: float, clock: Callable[[], float] = time.monotonic) -> TreeSize:
    """Return the size of a directory, 0 without one. Raises OutOfTime, OSError.

    `root` may be a link, if the directory behind it belongs to `owner`; links inside are not followed, and other file
    systems not entered. A file with several names counts once. `until`: a time of `clock`.
    """
    try:
        descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        root.parent.stat()  # a home that is not mounted is no home without files
        return TreeSize(0, 0)
    try:
        status = os.fstat(descriptor)
        if status.st_uid != owner:
            raise PermissionError(errno.EACCES, "the directory belongs to somebody else", str(root))
        walk = _Walk(status.st_dev, until, clock)
        walk.add(status)
        walk.enter(descriptor, 0)
    finally:
        os.close(descriptor)
    return TreeSize(walk.blocks * _BLOCK, walk.unreadable)


class _Walk:
    """Goes through a tree by descriptors: no path is looked up twice, so nobody can put a link in between."""

    def __init__(self, device: int, until: float, clock: Callable[[], float]) -> None:
        self.blocks = 0
        self.unreadable = 0
        self._device = device
        self._until = until
        self._clock = clock
        self._linked: set[int] = set()  # inodes with several names that were counted

    def add(self, status: os.stat_result) -> None:
        """Count a file or a directory."""
        if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
            if status.st_ino in self._linked:
                return
            self._linked.add(status.st_ino)
        self.blocks += status.st_blocks

    def enter(self, directory: int, depth: int) -> None:
        """Count what is in a directory."""
        if self._clock() >= self._until:
            raise OutOfTime
        try:
            with os.scandir(directory) as entries:
                names = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        except OSError:
            self.unreadable += 1
            return
        for name, is_directory in names:
            try:
                status = os.stat(name, dir_fd=directory, follow_symlinks=False)
            except OSError:
                continue  # it was deleted meanwhile
            if status.st_dev != self._device:
                continue
            self.add(status)
            if is_directory:
                self._enter_below(directory, name, depth + 1)

    def _enter_below(self, directory: int, name: str, depth: int) -> None:
        if depth > MAX_DEPTH:
            self.unreadable += 1
            return
        try:
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        except OSError:
            self.unreadable += 1
            return
        try:
            if os.fstat(below).st_dev == self._device:  # not a mount point
                self.enter(below, depth)
        finally:
            os.close(below)
