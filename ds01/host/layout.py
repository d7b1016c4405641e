"""The wanted and actual modes, owners and groups of the files in the state and log directories."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from ds01.host.checks.facts import FileEntry
from ds01.system.settings import LAST_GOOD_POLICY

DIRECTORY_MODE = 0o2775  # setgid: new files belong to the group
FILE_MODE = 0o664
NOTICES_MODE = 0o755
NOTICE_MODE = 0o600
TICK_MODE = 0o644


def file_entries(state: Path, log: Path, gid: int | None) -> Iterator[FileEntry]:
    """Yield the files and directories that exist, and required directories that are missing."""
    records, last_good = state / "container-metadata", state / LAST_GOOD_POLICY
    # The log first, so that later fixes can be recorded there.
    shared = (
        log,
        state,
        records,
        records / "removed",
        state / "locks",
        state / "queue",
        state / "outbox",
        state / "image-facts",
        last_good,
        last_good / "groups",
    )
    for folder in shared:
        required = folder in (state, log)
        if required or folder.exists():
            yield _entry(folder, DIRECTORY_MODE, folder=True, uid=0 if required else None, gid=gid)
    for folder, pattern in (
        (records, "*.json"),
        (records / "removed", "*.json"),
        (state / "locks", "*"),
        (state / "queue", "*"),
        (state / "outbox", "*"),
        (state / "image-facts", "*"),
        (last_good, "*"),
        (last_good / "groups", "*"),
    ):
        yield from (_entry(path, FILE_MODE, gid=gid) for path in _files(folder, pattern))
    for path in (state / "installation", state / "engine", state / "gpu-state.json"):
        yield from (_entry(found, FILE_MODE, gid=gid) for found in _files(state, path.name))
    for name in ("events.jsonl", "gpu-allocations.log", "tick.log"):
        yield from (_entry(found, FILE_MODE, gid=gid) for found in _files(log, name))
    for pattern in ("tick*.json", "accounting.sqlite"):
        yield from (_entry(path, TICK_MODE, uid=0) for path in _files(state, pattern))
    notices = state / "notices"
    if notices.exists():
        yield _entry(notices, NOTICES_MODE, folder=True, uid=0)
        for path in _files(notices, "*.jsonl"):
            yield _entry(path, NOTICE_MODE, uid=int(path.stem) if path.stem.isdecimal() else None)


def _files(folder: Path, pattern: str) -> list[Path]:
    """Return the regular files, without temporary ones."""
    try:
        found = [path for path in folder.glob(pattern) if not path.name.startswith(".")]
        return sorted(path for path in found if stat.S_ISREG(path.lstat().st_mode))
    except OSError:
        return []  # removed meanwhile, or not readable: the directory's own entry shows that


def _entry(path: Path, mode: int, *, folder: bool = False, uid: int | None = None, gid: int | None = None) -> FileEntry:
    try:
        status = os.lstat(path)
    except OSError:
        return FileEntry(str(path), folder, None, None, None, mode, uid, gid)
    return FileEntry(str(path), folder, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, mode, uid, gid)
