"""Open the database: for the tick to write, or as a copy in memory for a report.

The state directory is writable by a group, so whatever lies at the path may be a link or somebody else's file. Other
users, who only read, cannot create the shared memory that a write-ahead log needs, so it keeps a rollback journal.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

from ds01.observe.accounting.schema import VERSION, NewerVersion, prepare
from ds01.system import files

WRITE_TIMEOUT = 2.0  # seconds to wait for readers: the tick has better things to do
READ_TIMEOUT = 5.0
MODE = 0o644


class Unusable(Exception):
    """The database cannot be used. `lost`: its content is gone, so a new one may take its place."""

    def __init__(self, why: str, *, lost: bool) -> None:
        super().__init__(why)
        self.lost = lost


def open_to_write(path: Path) -> sqlite3.Connection:
    """Open the database, created or upgraded if necessary. Raises Unusable."""
    try:
        _create_or_check(path)
        connection = sqlite3.connect(_address(path, "rw"), uri=True, timeout=WRITE_TIMEOUT, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        raise as_unusable(error) from error
    try:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA synchronous = NORMAL")  # a power failure may cost history, never state
        connection.execute("PRAGMA trusted_schema = OFF")
        prepare(connection)
    except sqlite3.Error as error:
        connection.close()
        raise as_unusable(error) from error
    return connection


def open_to_read(path: Path) -> sqlite3.Connection:
    """Open the database to read a little of it, in today's version. Raises Unusable, also if there is none."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise Unusable("it is not a regular file", lost=True)
        connection = sqlite3.connect(_address(path, "ro"), uri=True, timeout=READ_TIMEOUT, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        raise as_unusable(error) from error
    try:
        connection.execute("PRAGMA trusted_schema = OFF")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version != VERSION:
            raise Unusable(f"version {version}; the next tick brings it up to date", lost=False)
    except sqlite3.Error as error:
        connection.close()
        raise as_unusable(error) from error
    except Unusable:
        connection.close()
        raise
    return connection


def copy_to_memory(path: Path) -> tuple[sqlite3.Connection, str | None]:
    """Return a copy in memory, up to date in its version, and why the file could not be read; then it is empty."""
    problem = None
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise Unusable("it is not a regular file", lost=True)
        with closing(sqlite3.connect(_address(path, "ro"), uri=True, timeout=READ_TIMEOUT)) as source:
            memory = _memory()
            source.backup(memory)
        prepare(memory)
        return memory, None
    except FileNotFoundError:
        problem = "there is none yet"
    except (OSError, sqlite3.Error, Unusable) as error:
        problem = str(error)
    memory = _memory()
    prepare(memory)
    return memory, problem


def move_aside(path: Path, stamp: str) -> Path | None:
    """Rename an unusable database, so that it can be looked at; return its new name. Only the last one is kept."""
    aside = path.with_name(f"{path.name}.unusable-{stamp}")
    for old in path.parent.glob(f"{path.name}.unusable-*"):
        with suppress(OSError):
            old.unlink()
    # A journal that stays behind would be rolled back into the new database.
    with suppress(OSError):
        path.with_name(f"{path.name}-journal").unlink()
    try:
        path.rename(aside)
    except OSError:
        return None
    return aside


def as_unusable(error: Exception) -> Unusable:
    """Return what an error of SQLite or the system means for the database."""
    # Python 3.10 has no codes. SQLite's operational errors are those of the system: full, locked, read-only, I/O.
    corrupt = isinstance(error, sqlite3.DatabaseError) and (
        not isinstance(error, sqlite3.OperationalError) or str(error).startswith("no such ")
    )
    lost = (corrupt and not isinstance(error, NewerVersion)) or isinstance(error, files.UnsafeFile)
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return Unusable(why, lost=lost)


def _create_or_check(path: Path) -> None:
    """Create an empty file with the right mode, or check that the existing one is ours. Raises OSError."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        with suppress(FileNotFoundError):  # of a database that was deleted
            path.with_name(f"{path.name}-journal").unlink()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(descriptor, MODE)
        finally:
            os.close(descriptor)
        return
    # Root opens what it finds here, so a link could make it write elsewhere.
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1 or status.st_uid != os.geteuid():
        raise files.UnsafeFile(f"{path} is not a regular file of its own")
    if stat.S_IMODE(status.st_mode) != MODE:
        path.chmod(MODE)


def _memory() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", isolation_level=None)


def _address(path: Path, mode: str) -> str:
    return f"file:{quote(str(path))}?mode={mode}"
