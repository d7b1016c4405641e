"""Write a page for everybody to read, where nobody else can replace it or lead it astray."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from ds01.errors import Ds01Error
from ds01.system import files

PAGE_MODE = 0o644
PAGE_BEGIN = b"<!doctype html>"


def publish_page(path: Path, page: str) -> None:
    """Replace the page at `path`, an absolute path, with mode 0644. Raises Ds01Error.

    The directories above must belong to root or to the acting user, and others must not be able to rename in them: who
    can, decides which file is replaced. With root's rights that would be any file of the server.
    """
    directory = Path(os.path.realpath(path.parent))
    target = directory / path.name
    _check_directories(directory, os.geteuid())
    _check_target(target)
    try:
        files.delete_stale_temporaries(directory, name=path.name)
        files.replace(target, page.encode("utf-8", "replace"), mode=PAGE_MODE, durable=False)
    except OSError as error:
        raise _not_written(path, error) from error


def _check_directories(directory: Path, uid: int) -> None:
    """Check a path without links: each directory decides what the next name means."""
    for folder in (*reversed(directory.parents), directory):
        try:
            status = folder.lstat()
        except OSError as error:
            raise _not_written(folder, error) from error
        problem = _problem(status, uid)
        if problem is not None:
            raise Ds01Error(
                f"the page was not written: {folder} is not safe",
                why=f"{problem}, so somebody else could decide which file is replaced",
                hint="choose a directory that only you can change; for root it is one of root with mode 0755",
                code="page.not_written",
            )


def _problem(status: os.stat_result, uid: int) -> str | None:
    if not stat.S_ISDIR(status.st_mode):
        return "it is not a directory"
    if status.st_uid not in (0, uid):
        return f"it belongs to the uid {status.st_uid}"
    # In a sticky directory nobody can rename the files and directories of others.
    if status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX and not _is_own_group(status, uid):
        return f"its mode is {stat.S_IMODE(status.st_mode):04o}"
    return None


def _is_own_group(status: os.stat_result, uid: int) -> bool:
    """Return whether only the user's private group may write, as with umask 002; never for root."""
    return uid != 0 and not status.st_mode & 0o002 and status.st_gid == os.getegid() == uid


def _check_target(target: Path) -> None:
    """Check that only a page is replaced: a mistyped path must not cost another file, nor a link."""
    try:
        descriptor = os.open(target, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise _not_written(target, error) from error
        kind = "a symbolic link"
    else:
        kind = "not a page of ds01"
        try:
            if stat.S_ISREG(os.fstat(descriptor).st_mode) and os.read(descriptor, len(PAGE_BEGIN)) in (b"", PAGE_BEGIN):
                return
        finally:
            os.close(descriptor)
    raise Ds01Error(
        f"the page was not written: {target} is {kind}",
        why="only a page is replaced",
        hint="choose another name; `-` is standard output",
        code="page.not_written",
    )


def _not_written(path: Path, error: OSError) -> Ds01Error:
    what = os.strerror(error.errno or errno.EIO).lower()
    return Ds01Error(f"the page was not written: {path}: {what}", code="page.not_written")
