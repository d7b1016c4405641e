"""Read and write files in shared directories: no links followed, atomic replacement, modes independent of the umask."""

from __future__ import annotations

import errno
import glob
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

TEMPORARY_MAX_AGE = 3600.0  # seconds; a temporary file has its final name within milliseconds
UNWRITABLE_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})  # a write failed: disk full, quota, read-only
RESOURCE_ERRNOS = frozenset({errno.ENFILE, errno.EMFILE, errno.ENOMEM, errno.EINTR, errno.EAGAIN})  # of the machine
MAX_LINKS = 40  # on the way to a directory, as in the kernel
MAX_FILE_BYTES = 1 << 20  # bytes; a record is a few KB, and a larger file is not one of ours


class UnsafeFile(OSError):
    """A link, a device, or a file that is too large."""


def read(path: Path) -> bytes:
    """Return the content of a regular file below 1 MiB, never through a link. Raises OSError, UnsafeFile."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if (
            not stat.S_ISREG(status.st_mode) or status.st_size > MAX_FILE_BYTES
        ):  # a directory is reported as unsafe, not as unreadable
            raise UnsafeFile(f"{path} is not a regular file below 1 MiB")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(MAX_FILE_BYTES)
    finally:
        os.close(descriptor)


def replace(path: Path, content: bytes, *, mode: int, durable: bool = True) -> None:
    """Replace a file atomically: temporary file beside it, flush, rename. `durable` adds fsync of file and directory.

    Raises OSError; the old content is then unchanged.
    """
    temporary = path.parent / f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.tmp"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(content)
            file.flush()
            if durable:
                os.fsync(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make renames in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def append(path: Path, line: bytes, *, mode: int) -> None:
    """Append one line in one write, so that lines of several processes do not mix. Raises OSError.

    After a partial line, left by a full disk, a newline is added first.
    """
    descriptor = open_shared(path, os.O_RDWR | os.O_APPEND, mode=mode)
    try:
        size = os.fstat(descriptor).st_size
        if size > 0 and os.pread(descriptor, 1, size - 1) not in (b"", b"\n"):
            line = b"\n" + line
        if os.write(descriptor, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    finally:
        os.close(descriptor)


def names_open_file(path: Path, descriptor: int) -> bool:
    """Return whether a path still names an open file, which may have been deleted or replaced. Raises OSError."""
    try:
        status_at_path = path.lstat()
    except FileNotFoundError:
        return False
    return os.path.samestat(status_at_path, os.fstat(descriptor))


def delete_stale_temporaries(directory: Path, *, name: str | None = None) -> None:
    """Delete temporary files that killed processes left behind; `name`: only those of this file."""
    with suppress(OSError):
        for path in directory.glob(".*.tmp" if name is None else f".{glob.escape(name)}.*.tmp"):
            with suppress(OSError):
                status = path.lstat()
                if stat.S_ISREG(status.st_mode) and time.time() - status.st_mtime > TEMPORARY_MAX_AGE:
                    path.unlink()


def open_shared(path: Path, flags: int, *, mode: int) -> int:
    """Open a file that several users share; create it with exactly `mode` if it is missing. Raises OSError.

    Never uses O_CREAT on an existing file: `fs.protected_regular` refuses that for files of other users.
    """
    flags |= os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    while True:
        try:
            return os.open(path, flags)
        except FileNotFoundError:
            pass
        # Linked only once its mode is set: between open and fchmod, other users would be refused.
        temporary = path.parent / f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.tmp"
        descriptor = os.open(temporary, flags | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.fchmod(descriptor, mode)
            os.link(temporary, path)
        except FileExistsError:
            os.close(descriptor)  # another process created it meanwhile
        except BaseException:
            os.close(descriptor)
            raise
        else:
            return descriptor
        finally:
            temporary.unlink()


def make_directory(path: Path, *, mode: int) -> None:
    """Create a directory with exactly `mode` if it is missing; its parent must exist. Raises OSError."""
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        return
    path.chmod(mode)


@contextmanager
def open_trusted_directory(path: Path) -> Iterator[Path]:
    """Yield a path of the directory that stays on it whatever is renamed meanwhile. Raises OSError.

    A symbolic link on the way is followed only if nobody but root and this process's user could have made it: in a
    directory that others can write, it raises ELOOP. Links like /var/run belong to root and are fine.
    """
    descriptor = _open_without_strange_links(path)
    try:
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def _open_without_strange_links(path: Path) -> int:
    """Return a descriptor of the directory, opened component by component."""
    parts = list(PurePosixPath(path).parts)
    if parts[:1] != ["/"]:
        raise OSError(errno.EINVAL, "the path is not absolute", str(path))
    pending = parts[1:]
    links = 0
    descriptor = _open_directory("/")
    try:
        while pending:
            name = pending.pop(0)
            if stat.S_ISLNK(os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode):
                links += 1
                if links > MAX_LINKS or _others_can_write(os.fstat(descriptor)):
                    raise OSError(errno.ELOOP, "a symbolic link in a directory that others can write", str(path))
                target = PurePosixPath(os.readlink(name, dir_fd=descriptor))
                pending = [part for part in target.parts if part != "/"] + pending
                following = _open_directory("/") if target.is_absolute() else os.dup(descriptor)
            else:
                following = _open_directory(name, parent=descriptor)
            os.close(descriptor)
            descriptor = following
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _open_directory(name: str, *, parent: int | None = None) -> int:
    return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)


def _others_can_write(status: os.stat_result) -> bool:
    """Return whether anybody but root and this process's user can create or replace entries of a directory."""
    return status.st_uid not in (0, os.geteuid()) or bool(status.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
