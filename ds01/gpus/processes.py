"""Look up the name and the container of a process, in /proc."""

from __future__ import annotations

import re
from pathlib import Path

# `/docker/ID` and `/any/parent/ID` with Docker's cgroupfs driver, `docker-ID.scope` with systemd. With Docker in
# Docker the outer container's id comes first, and that is the one the host's Docker knows.
_CONTAINER = re.compile(r"[/-]([0-9a-f]{64})(?=\.scope|/|$)", re.ASCII | re.MULTILINE)


def process_name(pid: int, proc: Path) -> str | None:
    """Return the process's name as the kernel keeps it, at most 15 bytes; None if it is gone or hidden."""
    text = _read(proc / str(pid) / "comm")
    return text.rstrip("\n") or None if text is not None else None


def process_container(pid: int, proc: Path) -> str | None:
    """Return the Docker id in the process's cgroup path; None if it has none or cannot be read."""
    match = _CONTAINER.search(_read(proc / str(pid) / "cgroup") or "")
    return match[1] if match else None


def read_boot_id(proc: Path) -> str | None:
    """Return the id of the kernel's current boot, which changes with each restart; None if unknown."""
    return (_read(proc / "sys/kernel/random/boot_id") or "").strip() or None


def _read(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace")
    except OSError:  # the process ended meanwhile, or /proc is mounted with hidepid
        return None
