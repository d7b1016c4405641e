"""Find out since when Docker and the machine run, from local files, as Docker's API does not tell."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

PID_FILE = Path("/var/run/docker.pid")  # dockerd writes it at its start, which nothing else records


def engine_started_at(pid_file: Path = PID_FILE) -> datetime | None:
    """Return when dockerd was started; None without a pid file."""
    try:
        return datetime.fromtimestamp(pid_file.stat().st_mtime, timezone.utc)
    except OSError:
        return None


def booted_at(stat: Path = Path("/proc/stat")) -> datetime | None:
    """Return when the kernel was started, in whole seconds."""
    try:
        words = stat.read_text().split()
        return datetime.fromtimestamp(int(words[words.index("btime") + 1]), timezone.utc)
    except (OSError, ValueError, IndexError):
        return None
