"""A file system with one-second timestamps: ext4 with 128-byte inodes, or an imitation.

Where nothing can be mounted, every process that is forked from this one sees cut timestamps instead.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

SECOND = 1_000_000_000
MEGABYTES = 64


@contextmanager
def coarse_filesystem() -> Iterator[Path | None]:
    """Yield a directory on such a file system; None if it cannot be mounted."""
    with tempfile.TemporaryDirectory(prefix="ds01-coarse-", dir=_memory_directory()) as folder:
        image, mount_point = Path(folder) / "image", Path(folder) / "mounted"
        mount_point.mkdir()
        Path(folder).chmod(0o755)
        if not _mount(image, mount_point):
            yield None
            return
        try:
            mount_point.chmod(0o755)
            yield mount_point
        finally:
            subprocess.run(["umount", "--lazy", mount_point], check=True)


def _memory_directory() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _mount(image: Path, mount_point: Path) -> bool:
    make = shutil.which("mkfs.ext4", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if make is None or os.geteuid() != 0:
        return False
    with image.open("wb") as file:
        file.truncate(MEGABYTES << 20)
    commands = ([make, "-q", "-I", "128", str(image)], ["mount", "-o", "loop", str(image), str(mount_point)])
    return all(subprocess.run(words, capture_output=True).returncode == 0 for words in commands)


def truncate_timestamps(monkeypatch: pytest.MonkeyPatch, below: Path) -> None:
    """Show one-second timestamps below a directory to this process and its children."""
    for name in ("stat", "lstat"):
        monkeypatch.setattr(os, name, _truncating(getattr(os, name), below))
    scan = os.scandir

    @contextmanager
    def scandir(path: Any = ".") -> Iterator[Iterator[Any]]:
        with scan(path) as entries:
            yield (_Entry(entry) if str(path).startswith(str(below)) else entry for entry in entries)

    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setattr(pathlib.Path, "stat", lambda self, **how: os.stat(self, **how))
    monkeypatch.setattr(pathlib.Path, "lstat", lambda self: os.lstat(self))


def _truncating(real: Callable[..., os.stat_result], below: Path) -> Callable[..., os.stat_result]:
    def stat(path: Any, *rest: Any, **how: Any) -> os.stat_result:
        status = real(path, *rest, **how)
        return _truncate(status) if str(path).startswith(str(below)) else status

    return stat


def _truncate(status: os.stat_result) -> os.stat_result:
    whole = {f"st_{name}time_ns": getattr(status, f"st_{name}time_ns") // SECOND * SECOND for name in "amc"}
    return os.stat_result(tuple(status)[:10], whole)


class _Entry:
    """A directory entry with truncated timestamps."""

    def __init__(self, entry: os.DirEntry[str]) -> None:
        self._entry = entry
        self.name, self.path = entry.name, entry.path

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        return _truncate(self._entry.stat(follow_symlinks=follow_symlinks))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._entry, name)
