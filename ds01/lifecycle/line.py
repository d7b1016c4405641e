"""The waiting line: a file for each waiter, locked by the process that waits. A free lock means that it is gone."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from ds01.errors import Ds01Error, NotFound
from ds01.lifecycle.request import ContainerRequest
from ds01.system import files
from ds01.system.data import from_json, to_json


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


class Line:
    """The folder of the waiters, in order: the highest priority first, then who came first."""

    def __init__(self, folder: Path, *, mode: int) -> None:
        self._folder = folder
        self._mode = mode

    def waiters(self) -> tuple[Waiter, ...]:
        """Who waits now; files of those who are gone are passed over."""
        found = [waiter for path in self._files() if (waiter := self._read(path)) is not None and _is_held(path)]
        return tuple(sorted(found, key=lambda waiter: (-waiter.priority, waiter.since, waiter.id)))

    @contextmanager
    def join(self, waiter: Waiter) -> Iterator[Waiter]:
        """Stand in the line for the block; the waiter gets its id. Raises Ds01Error if the file cannot be made."""
        waiter = replace(waiter, id=secrets.token_hex(6))
        path = self._folder / f"{waiter.id}.json"
        hidden = self._folder / f".{waiter.id}.tmp"
        try:
            descriptor = files.open_shared(hidden, os.O_RDWR, mode=self._mode)
        except OSError as error:
            raise Ds01Error("the waiting line cannot be joined", why=f"{hidden}: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # before it has its name: nobody sees it unlocked
            os.write(descriptor, json.dumps(to_json(waiter)).encode())
            hidden.rename(path)
            yield waiter
        finally:
            with suppress(OSError):
                path.unlink(missing_ok=True)
            with suppress(OSError):
                hidden.unlink(missing_ok=True)
            os.close(descriptor)

    def is_in(self, waiter: Waiter) -> bool:
        """Whether the waiter still stands in the line: somebody may have cancelled it."""
        return (self._folder / f"{waiter.id}.json").exists()

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
        for path in gone:
            with suppress(OSError):
                path.unlink(missing_ok=True)
        return [path.stem for path in gone]

    def _files(self) -> list[Path]:
        try:
            return sorted(path for path in self._folder.iterdir() if path.suffix == ".json")
        except OSError:
            return []

    @staticmethod
    def _read(path: Path) -> Waiter | None:
        try:
            waiter = from_json(Waiter, json.loads(files.read(path)))
            # Who waits is whose file it is: the folder is shared, and a priority is worth something.
            return waiter if path.lstat().st_uid in (waiter.uid, 0) and path.stem == waiter.id else None
        except (OSError, ValueError):
            return None


def _is_held(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return path.exists()  # not ours to open: it counts until its owner or root says otherwise
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
