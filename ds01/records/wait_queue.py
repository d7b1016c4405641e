"""The queue for GPUs: one file for each waiter, locked by its process. A free lock means that the process is gone."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from ds01.dataclass import dataclass
from ds01.errors import Ds01Error, NotFound
from ds01.records.request import ContainerRequest
from ds01.system import files
from ds01.system.data import DataError, from_json, parse_json, to_json

# `open` fails like this for a missing file, a link, a socket and a file that ds01's users cannot read: not a waiter.
NOT_A_WAITER = frozenset({errno.ENOENT, errno.ELOOP, errno.ENXIO, errno.EACCES, errno.EPERM})


@dataclass(frozen=True)
class Waiter:
    """A user who waits for a GPU, and the request."""

    id: str
    user: str
    uid: int
    priority: int
    since: datetime
    container: str  # the full name that the container will have
    request: ContainerRequest
    by: int = -1  # the uid that owns the file, from the kernel and not from the content
    tried_at: float = 0.0  # Unix time of the last attempt, from the file's mtime and not from the content


class WaitQueue:
    """The queue's directory. lifecycle/context/wait_queue.py decides which waiters count, and with which priority."""

    def __init__(self, folder: Path, *, mode: int) -> None:
        self._folder = folder
        self._mode = mode

    def waiters(self) -> tuple[Waiter, ...]:
        """Return the waiters in queue order. Entries whose process has exited are skipped."""
        return sort_waiters(
            waiter for path in self._files() if (waiter := self._read(path)) and _is_locked_by_waiter(path)
        )

    @contextmanager
    def join(self, waiter: Waiter) -> Iterator[Waiter]:
        """Queue for the length of the block; the waiter gets its id. Raises Ds01Error if the file cannot be written."""
        waiter = replace(waiter, id=secrets.token_hex(6), by=os.geteuid())
        path = self._folder / f"{waiter.id}.json"
        hidden = self._folder / f".{waiter.id}.tmp"
        descriptor = -1
        try:
            try:
                descriptor = files.open_shared(hidden, os.O_RDWR, mode=self._mode)
                fcntl.flock(descriptor, fcntl.LOCK_EX)  # before the rename, so that nobody sees it unlocked
                content = json.dumps(to_json(waiter)).encode()
                if os.write(descriptor, content) < len(content):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                hidden.rename(path)
            except OSError as error:
                raise Ds01Error("the queue cannot be joined", why=f"{path}: {error.strerror}") from error
            yield waiter
        finally:
            for leftover in (path, hidden):
                with suppress(OSError):
                    leftover.unlink(missing_ok=True)
            if descriptor >= 0:
                os.close(descriptor)

    def refresh(self, waiter: Waiter) -> bool:
        """Record an attempt of the waiter now. False if its entry is gone: somebody cancelled the wait."""
        path = self._folder / f"{waiter.id}.json"
        now = time.time()
        try:
            # Explicit times: a file server's clock may differ from the clock that other processes compare with.
            os.utime(path, (now, now), follow_symlinks=False)
        except FileNotFoundError:
            return False
        except OSError:
            pass  # the file system became read-only: no attempt can succeed either
        return _is_locked_by_waiter(path) is not False  # somebody may have put another file there

    def cancel(self, identity: str) -> None:
        """Remove a waiter from the queue; its process notices. Raises NotFound."""
        for path in self._files():
            if path.stem == identity:
                path.unlink(missing_ok=True)
                return
        raise NotFound(f"nobody waits under the ID {identity}", hint="`ds01 queue` shows who waits")

    def waiter_ids(self) -> frozenset[str]:
        """Return the ids of all waiters, also of those whose processes have exited."""
        return frozenset(path.stem for path in self._files())

    def remove_exited(self) -> list[str]:
        """Delete the files of exited processes and files that belong to no waiter; return their ids."""
        exited = []
        for path in self._files():
            with suppress(OSError):
                if _is_locked_by_waiter(path) is False:
                    path.unlink()
                    exited.append(path.stem)
        files.delete_stale_temporaries(self._folder)  # of processes killed while joining
        return exited

    def _files(self) -> list[Path]:
        """Return the waiters' files; directories are ignored."""
        try:
            with os.scandir(self._folder) as entries:
                paths = [Path(entry.path) for entry in entries if not entry.is_dir(follow_symlinks=False)]
        except OSError:
            return []
        return sorted(path for path in paths if path.suffix == ".json")

    @staticmethod
    def _read(path: Path) -> Waiter | None:
        try:
            waiter = from_json(Waiter, parse_json(files.read(path)))
            status = path.lstat()
            waiter = replace(waiter, by=status.st_uid, tried_at=status.st_mtime)
            return waiter if path.stem == waiter.id else None
        except DataError:
            return None
        except OSError as error:
            _raise_shortage(path, error)
            return None


def sort_waiters(waiters: Iterable[Waiter]) -> tuple[Waiter, ...]:
    """Return the waiters by priority, highest first, then by time of joining."""
    return tuple(sorted(waiters, key=lambda waiter: (-waiter.priority, waiter.since, waiter.id)))


def _is_locked_by_waiter(path: Path) -> bool | None:
    """Return whether a process holds the file's lock; None if unknown. Raises Ds01Error as `_raise_shortage`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        _raise_shortage(path, error)
        return False if error.errno in NOT_A_WAITER else None
    try:
        # Shared, so that two readers at the same time do not take each other for the waiter.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)


def _raise_shortage(path: Path, error: OSError) -> None:
    """Raise Ds01Error if the machine is out of a resource: skipping all waiters would let later ones go first."""
    if error.errno in files.RESOURCE_ERRNOS:
        raise Ds01Error("the queue cannot be read", why=f"{path}: {error.strerror}", hint="try again") from error
