"""The simulated engine's state: one JSON file that many processes read and change concurrently.

A change holds a file lock and ends with an atomic rename, so readers need no lock and never see half a change.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ds01.errors import Ds01Error, EngineUnreachable
from ds01.system import locks

FIRST_PID = 1 << 22  # the kernel's largest pid_max, so that a simulated pid is never a real process
MAX_STORED_FILE = 1 << 20

State = dict[str, Any]
Files = dict[str, dict[str, Any]]
_Version = tuple[int, int, int]


def new_id() -> str:
    """Return an id like Docker's: 64 hexadecimal digits."""
    return secrets.token_hex(32)


class StateStore:
    """The state file at `path`, a lock beside it, and a directory with the files put into each container."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock_path = path.with_suffix(".lock")
        self._files = path.with_name(f"{path.stem}-files")
        self._cached: tuple[_Version, State] | None = None

    def read(self) -> State:
        """Return the current state, read-only; without a file, that of a new engine. Raises EngineUnreachable."""
        cached = self._cached
        try:
            if cached is not None and cached[0] == _version(self.path.stat()):
                return cached[1]
        except OSError:
            pass  # it is missing, or reading fails too
        self._cached = self._parse()
        return self._cached[1]

    def _parse(self) -> tuple[_Version, State]:
        try:
            with self.path.open("rb") as file:
                version = _version(os.fstat(file.fileno()))
                state: State = json.load(file)
        except FileNotFoundError:
            return (0, 0, 0), _new_state()
        except (OSError, ValueError) as error:
            raise EngineUnreachable(
                "The simulated engine does not answer",
                why=f"{self.path}: {error}",
                data={"problem": "not_permitted" if isinstance(error, PermissionError) else "no_answer"},
            ) from error
        return version, state

    @contextmanager
    def change(self) -> Iterator[State]:
        """Yield the state to be changed in place, under the lock; it is written if the block succeeds."""
        with self._locked():
            _, state = self._parse()
            try:
                yield state
                self._write(self.path, json.dumps(state, separators=(",", ":")).encode())
            except OSError as error:
                raise Ds01Error("the simulated engine cannot write", why=f"{self.path}: {error.strerror}") from error

    def files(self, container: str) -> Files:
        """Return the files put into the container with this id, by path."""
        try:
            stored_files: Files = json.loads((self._files / f"{container}.json").read_bytes())
        except FileNotFoundError:
            return {}
        return stored_files

    def keep_files(self, container: str, content: Files) -> None:
        """Store the container's files; only inside `change`."""
        if not self._files.is_dir():
            temporary_directory = self._files.with_name(
                f"{self._files.name}.tmp"
            )  # no other process may see it before its mode is set
            temporary_directory.mkdir(exist_ok=True)
            temporary_directory.chmod(0o2775 if self._shared() else 0o755)
            temporary_directory.rename(self._files)
        self._write(self._files / f"{container}.json", json.dumps(content).encode())

    def drop_files(self, container: str) -> None:
        """Delete the container's files; only inside `change`."""
        with suppress(FileNotFoundError):
            (self._files / f"{container}.json").unlink()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # Opened each time: a lock belongs to the open file, so threads that share one would not exclude each other.
        try:
            lock = locks.acquire(self._lock_path, wait=None, mode=self._mode())
        except OSError as error:
            raise EngineUnreachable(
                "The simulated engine does not answer",
                why=f"{self._lock_path}: {error.strerror}",
                data={"problem": "not_permitted" if isinstance(error, PermissionError) else "no_answer"},
            ) from error
        try:
            yield
        finally:
            os.close(lock)

    def _write(self, path: Path, content: bytes) -> None:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(file.fileno(), self._mode())
                file.write(content)
                file.flush()
                # The kernel's timestamps are as coarse as its tick, and inodes are reused: readers compare both.
                now = time.time_ns()
                os.utime(file.fileno(), ns=(now, now))
            temporary.replace(path)
        except BaseException:
            with suppress(FileNotFoundError):
                temporary.unlink()
            raise

    def _mode(self) -> int:
        return 0o664 if self._shared() else 0o644

    def _shared(self) -> bool:
        return bool(self.path.parent.stat().st_mode & stat.S_IWGRP)


def file_entry(content: bytes, *, mode: int = 0o644, uid: int = 0, gid: int = 0, link: str | None = None) -> Any:
    """Return a file entry for `files`. Above `MAX_STORED_FILE` bytes only the name is kept."""
    kept = content if len(content) <= MAX_STORED_FILE else b""
    return {"data": base64.b64encode(kept).decode(), "mode": mode, "uid": uid, "gid": gid, "link": link}


def _version(file: os.stat_result) -> _Version:
    return file.st_ino, file.st_mtime_ns, file.st_size


def _new_state() -> State:
    return {
        "id": new_id(),
        "down": False,
        "next_pid": FIRST_PID,
        "next_port": 32768,
        "containers": {},
        "tags": {},  # reference -> the reference whose image it is
        "untagged": [],  # references that were removed
    }
