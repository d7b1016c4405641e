"""Access a user's files and programs with that user's uid, so that root does not follow their links."""

from __future__ import annotations

import base64
import errno
import json
import os
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from ds01.errors import Ds01Error
from ds01.system import files, programs
from ds01.system.as_user import run_as_account
from ds01.system.users import Account

MAX_FILE_BYTES = 4 << 20  # bytes; files written by hand are smaller


class Home:
    """The files of `account`. Root acts as that user in a child process, everybody else as themselves.

    Paths are absolute. Every method raises Ds01Error with the path and the kernel's message.
    """

    def __init__(self, account: Account, *, workspaces: Callable[[], str] | None = None) -> None:
        self.account = account
        self._workspaces = workspaces

    @property
    def path(self) -> Path:
        """The home directory."""
        return Path(self.account.home)

    @property
    def workspaces(self) -> Path:
        """The directory of all projects: in the home, unless the policy says otherwise."""
        return self.path / "workspace" if self._workspaces is None else Path(self._workspaces())

    def read(self, path: Path) -> bytes | None:
        """Return the content of a file; None if there is none."""
        return self._run_as_owner(path, "read", partial(_read, path))

    def read_text(self, path: Path) -> str | None:
        """Return the content as text; bytes that are not UTF-8 become `?`."""
        content = self.read(path)
        return None if content is None else content.decode("utf-8", "replace")

    def write(self, path: Path, content: str | bytes, *, mode: int = 0o644) -> None:
        """Replace the file atomically, keeping an existing file's mode and following symlinks.

        `mode` is for a new file. A missing directory is created.
        """
        data = content.encode() if isinstance(content, str) else content
        self._run_as_owner(path, "written", partial(_write, path, data, mode))

    def make_directory(self, path: Path, *, mode: int = 0o755) -> bool:
        """Create a directory and its parents, and return whether it was missing."""
        return self._run_as_owner(path, "created", partial(_make_directory, path, mode)) is not None

    def remove(self, path: Path) -> bool:
        """Remove a file, and return whether there was one."""
        return self._run_as_owner(path, "removed", partial(_remove, path)) is not None

    def exists(self, path: Path) -> bool:
        """Return whether anything has that name, a broken link included."""
        return self._run_as_owner(path, "looked at", partial(_exists, path)) is not None

    def is_directory(self, path: Path) -> bool:
        """Return whether the path is a directory, or a link to one."""
        return self._run_as_owner(path, "looked at", partial(_is_directory, path)) is not None

    def list(self, directory: Path) -> tuple[str, ...]:
        """Return the names in a directory, sorted; empty if it is missing."""
        found = self._run_as_owner(directory, "listed", partial(_list, directory))
        return tuple(json.loads(found)) if found else ()

    def modified_at(self, path: Path) -> datetime | None:
        """Return the file's modification time, in UTC; None if there is no file."""
        found = self._run_as_owner(path, "looked at", partial(_modified_at, path))
        return datetime.fromtimestamp(float(found), timezone.utc) if found else None

    def run(self, arguments: Sequence[str], *, timeout: float = programs.TIMEOUT, stdin: str | None = None) -> str:
        """Run a program as this user and return its stdout. Raises as `programs.run`."""
        return programs.run(arguments, timeout=timeout, stdin=stdin, account=self.account)

    def _run_as_owner(self, path: Path, participle: str, act: Callable[[], bytes | None]) -> bytes | None:
        if not path.is_absolute() or "\0" in str(path):
            raise Ds01Error(f"{str(path)!r} is not an absolute path")
        output = run_as_account(self.account, partial(_encode_result, act))
        if output is None:
            raise Ds01Error(f"{path} cannot be {participle}", why="the file system does not answer")
        answer = json.loads(output)
        if "problem" in answer:
            raise Ds01Error(f"{path} cannot be {participle}", why=answer["problem"], data={"errno": answer["errno"]})
        return None if answer["found"] is None else base64.b64decode(answer["found"])


def _encode_result(act: Callable[[], bytes | None]) -> str:
    try:
        found = act()
    except OSError as error:
        return json.dumps({"problem": error.strerror or str(error), "errno": error.errno})
    return json.dumps({"found": None if found is None else base64.b64encode(found).decode()})


def _read(path: Path) -> bytes | None:
    try:
        # O_NONBLOCK: opening a FIFO would block.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        if status.st_size > MAX_FILE_BYTES:
            raise OSError(errno.EFBIG, f"it is larger than {MAX_FILE_BYTES >> 20} MiB")
        return file.read(MAX_FILE_BYTES)


def _write(path: Path, content: bytes, mode: int) -> None:
    real = Path(os.path.realpath(path))
    with suppress(FileNotFoundError):
        existing_mode = real.stat().st_mode
        if not stat.S_ISREG(existing_mode):  # replacing would destroy a pipe or a device
            raise OSError(errno.EINVAL, "it is not a regular file")
        mode = stat.S_IMODE(existing_mode)
    real.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    files.replace(real, content, mode=mode)


def _make_directory(path: Path, mode: int) -> bytes | None:
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.mkdir(mode=0o700)
    except FileExistsError:
        if path.is_dir():
            return None
        raise
    path.chmod(mode)
    return b""


def _remove(path: Path) -> bytes | None:
    try:
        path.unlink()
    except FileNotFoundError:
        return None
    return b""


def _exists(path: Path) -> bytes | None:
    return b"" if os.path.lexists(path) else None


def _is_directory(path: Path) -> bytes | None:
    return b"" if path.is_dir() else None


def _list(directory: Path) -> bytes | None:
    try:
        return json.dumps(sorted(entry.name for entry in directory.iterdir())).encode()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _modified_at(path: Path) -> bytes | None:
    try:
        return str(path.stat().st_mtime).encode()
    except (FileNotFoundError, NotADirectoryError):
        return None
