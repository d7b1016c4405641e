"""The waiting line: a file for each waiter, locked by the process that waits. A free lock means that it is gone."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from ds01.errors import Ds01Error, NotFound
from ds01.records.request import ContainerRequest
from ds01.system import files
from ds01.system.data import DataError, from_json, parse_json, to_json

# What an open answers for a file that is gone, a link, a socket, and what users of ds01 cannot read: no waiter's file.
NOT_A_WAITER = frozenset({errno.ENOENT, errno.ELOOP, errno.ENXIO, errno.EACCES, errno.EPERM})


@dataclass(frozen=True)
class Waiter:
    """Somebody who waits for a GPU, and for which request."""

    id: str
    user: str
    uid: int
    priority: int
    since: datetime
    container: str  # the full name that it will have
    request: ContainerRequest
    by: int = -1  # the uid whose file it is: the kernel's word, whatever stands in the file
    tried_at: float = 0.0  # Unix time of the last attempt, from the file's mtime, whatever stands in the file


class WaitQueue:
    """The folder of the waiters. Who may stand in it, and with which priority, `ahead` says."""

    def __init__(self, folder: Path, *, mode: int) -> None:
        self._folder = folder
        self._mode = mode

    def waiters(self) -> tuple[Waiter, ...]:
        """Who waits now, by the files; those of who is gone are passed over."""
        return sort_waiters(
            waiter for path in self._files() if (waiter := self._read(path)) and _is_locked_by_waiter(path)
        )

    @contextmanager
    def join(self, waiter: Waiter) -> Iterator[Waiter]:
        """Stand in the line for the block; the waiter gets its id. Raises Ds01Error if the file cannot be made."""
        waiter = replace(waiter, id=secrets.token_hex(6), by=os.geteuid())
        path = self._folder / f"{waiter.id}.json"
        hidden = self._folder / f".{waiter.id}.tmp"
        descriptor = -1
        try:
            try:
                descriptor = files.open_shared(hidden, os.O_RDWR, mode=self._mode)
                fcntl.flock(descriptor, fcntl.LOCK_EX)  # before it has its name: nobody sees it unlocked
                content = json.dumps(to_json(waiter)).encode()
                if os.write(descriptor, content) < len(content):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                hidden.rename(path)
            except OSError as error:
                raise Ds01Error("the waiting line cannot be joined", why=f"{path}: {error.strerror}") from error
            yield waiter
        finally:
            for leftover in (path, hidden):
                with suppress(OSError):
                    leftover.unlink(missing_ok=True)
            if descriptor >= 0:
                os.close(descriptor)

    def refresh(self, waiter: Waiter) -> bool:
        """Note that the waiter makes an attempt now. False if its entry is gone: somebody cancelled the wait."""
        path = self._folder / f"{waiter.id}.json"
        now = time.time()
        try:
            # Explicit times: a file server's own clock may differ from the one that others compare with.
            os.utime(path, (now, now), follow_symlinks=False)
        except FileNotFoundError:
            return False
        except OSError:
            pass  # a disk that became read-only: then no attempt succeeds either
        return _is_locked_by_waiter(path) is not False  # somebody may have put another file there

    def cancel(self, identity: str) -> None:
        """Take a waiter out of the line; its process sees that. Raises NotFound."""
        for path in self._files():
            if path.stem == identity:
                path.unlink(missing_ok=True)
                return
        raise NotFound(f"nobody waits under {identity}", hint="`ds01 queue` shows who waits")

    def waiter_ids(self) -> frozenset[str]:
        """Return the ids of all waiters, also of those whose processes have exited."""
        return frozenset(path.stem for path in self._files())

    def remove_exited(self) -> list[str]:
        """Delete the files whose processes have exited, and those that are no waiter's; return their ids."""
        exited = []
        for path in self._files():
            with suppress(OSError):
                if _is_locked_by_waiter(path) is False:
                    path.unlink()
                    exited.append(path.stem)
        files.delete_stale_temporaries(self._folder)  # of who was killed while joining
        return exited

    def _files(self) -> list[Path]:
        """The waiters' files; a directory there is nobody's."""
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
    """The highest priority first, then who came first."""
    return tuple(sorted(waiters, key=lambda waiter: (-waiter.priority, waiter.since, waiter.id)))


def _is_locked_by_waiter(path: Path) -> bool | None:
    """Whether a process has the file locked; None if nobody can tell now. Raises Ds01Error as `_raise_shortage`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        _raise_shortage(path, error)
        return False if error.errno in NOT_A_WAITER else None
    try:
        # Shared: two who look at the same time must not take each other for the waiter.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)


def _raise_shortage(path: Path, error: OSError) -> None:
    """Raise Ds01Error if the machine lacks something: passing over all waiters would let later ones go first."""
    if error.errno in files.RESOURCE_ERRNOS:
        raise Ds01Error("the queue cannot be read", why=f"{path}: {error.strerror}", hint="try again") from error
