"""Since when Docker and the machine run: its API does not say it, the files of the same machine do."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

PID_FILE = Path("/var/run/docker.pid")  # dockerd writes it when it starts; nothing else is said of its start


def engine_started_at(pid_file: Path = PID_FILE) -> datetime | None:
    """When dockerd was started; None if it keeps no such file."""
    try:
        return datetime.fromtimestamp(pid_file.stat().st_mtime, timezone.utc)
    except OSError:
        return None


def booted_at(stat: Path = Path("/proc/stat")) -> datetime | None:
    """When the kernel was started, in whole seconds."""
    try:
        words = stat.read_text().split()
        return datetime.fromtimestamp(int(words[words.index("btime") + 1]), timezone.utc)
    except (OSError, ValueError, IndexError):
        return None
