"""The kernel's locks: a file each, never unlinked, asked for repeatedly rather than by an alarm."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ds01.errors import Busy, Ds01Error
from ds01.system import clock, files

FIRST_WAIT = 0.001  # seconds; doubled up to LONGEST_WAIT between two tries
LONGEST_WAIT = 0.05


@contextmanager
def hold(path: Path, *, wait: float, mode: int, doing: str | None = None) -> Iterator[None]:
    """Hold the lock `path` for the block; ask for at most `wait` seconds.

    `doing` is left in the file for whoever waits. Raises Busy, which says what the holder left there, and
    Ds01Error if the file cannot be opened. Opened anew each time: two threads that share an open file share its lock.
    """
    try:
        descriptor = files.open_shared(path, os.O_RDWR, mode=mode)
    except PermissionError as error:
        raise Ds01Error(
            f"no permission for the lock {path}",
            why=str(error.strerror),
            hint="ds01's users are in the group docker; `ds01 user add LOGIN` adds one",
        ) from error
    except OSError as error:
        raise Ds01Error(f"the lock {path} cannot be opened", why=str(error.strerror)) from error
    try:
        _acquire(descriptor, wait)
        if doing is not None:
            _note(descriptor, doing)
        yield
    finally:
        os.close(descriptor)  # and the lock with it


def is_free(path: Path) -> bool:
    """Whether nobody holds the lock now."""
    try:
        with hold(path, wait=0, mode=0o664):
            return True
    except Busy:
        return False


def _acquire(descriptor: int, wait: float) -> None:
    until = time.monotonic() + wait
    pause = FIRST_WAIT
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            left = until - time.monotonic()
            if left <= 0:
                raise Busy(f"busy: {_holder(descriptor)}", hint="try again in a moment") from None
            time.sleep(min(pause, left))
            pause = min(pause * 2, LONGEST_WAIT)
        else:
            return


def _note(descriptor: int, doing: str) -> None:
    note = json.dumps({"doing": doing, "since": f"{clock.local(clock.now()):%H:%M}"}).encode()
    with suppress(OSError):  # a full disk: who waits is told less
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, note, 0)


def _holder(descriptor: int) -> str:
    try:
        note = json.loads(os.pread(descriptor, 4096, 0))
        return f"{note['doing']} since {note['since']}"
    except (ValueError, KeyError, TypeError):
        return "another command is at work"
