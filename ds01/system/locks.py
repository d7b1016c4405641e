"""File locks (flock): one file each, never deleted by ds01; waiting polls, without an alarm signal.

Anybody who shares the state directory can delete a lock file. So after locking, the locked file is compared with the
file at the path; if they differ, locking starts over.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ds01.errors import Busy, Ds01Error, StateUnwritable
from ds01.system import clock, files

MIN_POLL_INTERVAL = 0.001  # seconds between two tries, doubled each time up to the maximum
MAX_POLL_INTERVAL = 0.05


@contextmanager
def hold(path: Path, *, wait: float, mode: int, doing: str | None = None) -> Iterator[int]:
    """Hold the lock `path` for the block, waiting at most `wait` seconds. Yields the descriptor of the locked file.

    `doing` is written into the file for waiters. Raises Busy with the holder's note, and Ds01Error if the file cannot
    be opened. The file is opened each time: two threads that share an open file would share its lock.
    """
    try:
        descriptor = acquire(path, wait=wait, mode=mode)
    except PermissionError as error:
        raise Ds01Error(
            f"no permission for the lock {path}",
            why=str(error.strerror),
            hint="ds01's users are in the group docker; `ds01 user add LOGIN` adds one",
        ) from error
    except OSError as error:
        kind = StateUnwritable if error.errno in files.UNWRITABLE_ERRNOS else Ds01Error
        raise kind(f"the lock {path} cannot be opened", why=str(error.strerror)) from error
    try:
        if doing is not None:
            _write_note(descriptor, doing)
        yield descriptor
    finally:
        os.close(descriptor)  # and the lock with it


def is_free(path: Path) -> bool:
    """Return whether nobody holds the lock now."""
    try:
        with hold(path, wait=0, mode=0o664):
            return True
    except Busy:
        return False


def acquire(path: Path, *, wait: float | None, mode: int) -> int:
    """Lock the file `path`, created if missing, and return its descriptor. `wait` None: as long as it takes.

    Raises Busy, OSError.
    """
    deadline = None if wait is None else time.monotonic() + wait
    while True:
        descriptor = _open(path, mode)
        try:
            if deadline is None:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            else:
                _poll(descriptor, deadline)
            if files.names_open_file(path, descriptor):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # the file was replaced meanwhile: this lock excludes nobody


def _open(path: Path, mode: int) -> int:
    try:
        return files.open_shared(path, os.O_RDWR, mode=mode)
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
        # Not writable (read-only state), but readers still need to exclude each other.
        return files.open_shared(path, os.O_RDONLY, mode=mode)


def _poll(descriptor: int, deadline: float) -> None:
    pause = MIN_POLL_INTERVAL
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise Busy(f"busy: {_describe_holder(descriptor)}", hint="try again in a moment") from None
            time.sleep(min(pause, remaining))
            pause = min(pause * 2, MAX_POLL_INTERVAL)
        else:
            return


def _write_note(descriptor: int, doing: str) -> None:
    note = json.dumps({"doing": doing, "since": f"{clock.to_server_zone(clock.now()):%H:%M}"}).encode()
    with suppress(OSError):  # a full disk: waiters are told less
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, note, 0)


def _describe_holder(descriptor: int) -> str:
    try:
        note = json.loads(os.pread(descriptor, 4096, 0))
        return f"{note['doing']} since {note['since']}"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "another command is running"
