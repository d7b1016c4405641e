"""The waiting line: a file for each waiter, locked by the process that waits. A free lock means that it is gone."""

from __future__ import annotations

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
from ds01.lifecycle.request import ContainerRequest
from ds01.system import files
from ds01.system.data import from_json, to_json

HALF_MADE_KEPT = 3600.0  # seconds; who joins has its file's name within milliseconds


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


class Line:
    """The folder of the waiters. Who may stand in it, and with which priority, `ahead` says."""

    def __init__(self, folder: Path, *, mode: int) -> None:
        self._folder = folder
        self._mode = mode

    def waiters(self) -> tuple[Waiter, ...]:
        """Who waits now, by the files; those of who is gone are passed over."""
        return in_order(waiter for path in self._files() if (waiter := self._read(path)) and _is_held(path))

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
                    raise OSError(0, "the disk is full")
                hidden.rename(path)
            except OSError as error:
                raise Ds01Error("the waiting line cannot be joined", why=f"{path}: {error.strerror}") from error
            yield waiter
        finally:
            for left in (path, hidden):
                with suppress(OSError):
                    left.unlink(missing_ok=True)
            if descriptor >= 0:
                os.close(descriptor)

    def refresh(self, waiter: Waiter) -> bool:
        """Note that the waiter makes an attempt now. False if its entry is gone: somebody cancelled the wait."""
        now = time.time()
        try:
            # Explicit times: a file server's own clock may differ from the one that others compare with.
            os.utime(self._folder / f"{waiter.id}.json", (now, now), follow_symlinks=False)
        except FileNotFoundError:
            return False
        except OSError:
            pass  # a disk that became read-only: then no attempt succeeds either
        return True

    def cancel(self, identity: str) -> None:
        """Take a waiter out of the line; its process sees that. Raises NotFound."""
        for path in self._files():
            if path.stem == identity:
                path.unlink(missing_ok=True)
                return
        raise NotFound(f"nobody waits under {identity}", hint="`ds01 queue` shows who waits")

    def drop_gone(self) -> list[str]:
        """Delete the files of those who are gone, and of what is no waiter; their ids."""
        gone = [path for path in self._files() if not _is_held(path)]
        for path in [*gone, *self._half_made()]:
            with suppress(OSError):
                path.unlink(missing_ok=True)
        return [path.stem for path in gone]

    def _files(self) -> list[Path]:
        try:
            return sorted(path for path in self._folder.iterdir() if path.suffix == ".json")
        except OSError:
            return []

    def _half_made(self) -> Iterator[Path]:
        """What somebody left who was killed while joining."""
        with suppress(OSError):
            for path in self._folder.glob(".*.tmp"):
                if time.time() - path.lstat().st_mtime > HALF_MADE_KEPT:
                    yield path

    @staticmethod
    def _read(path: Path) -> Waiter | None:
        try:
            waiter = from_json(Waiter, json.loads(files.read(path)))
            status = path.lstat()
            waiter = replace(waiter, by=status.st_uid, tried_at=status.st_mtime)
            return waiter if path.stem == waiter.id else None
        except (OSError, ValueError, RecursionError):
            return None


def in_order(waiters: Iterable[Waiter]) -> tuple[Waiter, ...]:
    """The highest priority first, then who came first."""
    return tuple(sorted(waiters, key=lambda waiter: (-waiter.priority, waiter.since, waiter.id)))


def _is_held(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False  # gone, or a link, or not readable for those who share the folder: no waiter of ds01's
    try:
        # Shared: two who look at the same time must not take each other for the waiter.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
