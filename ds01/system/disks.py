"""The file systems of directories, and how full they are."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ds01.dataclass import dataclass


@dataclass(frozen=True)
class Disk:
    """The file system that contains a directory."""

    path: str
    holds: tuple[str, ...]  # what is stored there, for people
    total_bytes: int
    free_bytes: int
    total_files: int  # 0: the file system does not count
    free_files: int


def read_disks(folders: Mapping[Path, str]) -> tuple[Disk, ...]:
    """Return the file systems of existing directories, each once, with what is stored there."""
    disks: dict[int, Disk] = {}
    for path, what in folders.items():
        try:
            device, space = path.stat().st_dev, os.statvfs(path)
        except OSError:
            continue
        free, total = space.f_bavail * space.f_frsize, space.f_blocks * space.f_frsize
        disk = disks.get(device, Disk(str(path), (), total, free, space.f_files, space.f_favail))
        disks[device] = replace(disk, holds=(*disk.holds, what))
    return tuple(disks.values())
