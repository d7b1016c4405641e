"""Whose a process is, and since when it runs, from /proc."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

from ds01.dataclass import dataclass
from ds01.errors import NotFound
from ds01.system.users import Users

MAX_COMMAND = 300  # characters of a command line


@dataclass(frozen=True)
class ProcessOwner:
    """The login of a process's owner, and its start. None: it has ended, or the kernel hides it (`hidepid`)."""

    user: str | None = None
    since: datetime | None = None


def process_owner(pid: int, users: Users, *, proc: Path = Path("/proc")) -> ProcessOwner:
    """Return the owner and the start of a process. A uid without a login is shown as `uid 12`."""
    folder = proc / str(pid)
    try:
        uid = folder.stat().st_uid
        # The name in brackets may contain brackets. Field 22 of stat(5): the start, in clock ticks since boot.
        ticks = int((folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[19])
        up = float((proc / "uptime").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return ProcessOwner()
    try:
        login = users.by_uid(uid).login
    except NotFound:
        login = f"uid {uid}"
    age = max(0.0, up - ticks / os.sysconf("SC_CLK_TCK"))
    return ProcessOwner(login, datetime.now(timezone.utc).replace(microsecond=0) - timedelta(seconds=round(age)))


def process_command(pid: int, *, proc: Path = Path("/proc")) -> str | None:
    """Return the command line of a process, cut off when it is long; None if it has ended, or is hidden."""
    try:
        with (proc / str(pid) / "cmdline").open("rb") as file:
            words = file.read(MAX_COMMAND * 4).decode("utf-8", "replace").split("\0")
    except OSError:
        return None
    return " ".join(words).strip()[:MAX_COMMAND] or None
