"""The server itself: processors, memory, file systems, and the last tick. What cannot be read is unknown."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from ds01.api.seeing.server_view import DiskView, MachineView, TickView
from ds01.engines.protocol import EngineInfo
from ds01.lifecycle.context.context import Context
from ds01.system.clock import uptime
from ds01.system.data import DataError, parse_time
from ds01.system.disks import read_disks
from ds01.system.host_name import host_name

_KIBI = re.compile(r"^(MemTotal|MemAvailable):\s+(\d+) kB", re.MULTILINE)


def read_machine(context: Context, *, proc: Path = Path("/proc")) -> MachineView:
    """Return processors, load and memory."""
    numbers = {name: int(kibi) << 10 for name, kibi in _KIBI.findall(_read(proc / "meminfo"))}
    load = _read(proc / "loadavg").split(" ", 1)[0]
    return MachineView(
        name=context.rules.policy.server_name or host_name(),
        cpus=os.cpu_count(),
        load=float(load) if load else None,
        memory_bytes=numbers.get("MemTotal"),
        memory_available_bytes=numbers.get("MemAvailable"),
        booted_at=_booted_at(),
    )


def _booted_at() -> datetime | None:
    up = uptime()
    if up is None:
        return None
    return datetime.now(timezone.utc).replace(microsecond=0) - timedelta(seconds=round(up.seconds))


def read_disk_views(context: Context, engine: EngineInfo | None) -> tuple[DiskView, ...]:
    """Return the file systems of the state, of the engine's data, and of the homes."""
    folders = {context.ledger.state: "ds01's state"}
    if engine is not None and engine.root_dir is not None:
        folders[Path(engine.root_dir)] = "Docker's data"
    folders[Path(context.rules.policy.workspaces or "/home")] = "workspaces"
    disks = read_disks(folders)
    return tuple(DiskView(disk.path, disk.holds, disk.total_bytes, disk.free_bytes) for disk in disks)


def read_tick(document: Mapping[str, Any]) -> TickView:
    """Return the last tick, from the content of tick.json, which may be empty or damaged."""
    seconds = document.get("seconds")
    errors = document.get("errors")
    texts = [_error_text(item) for item in errors] if isinstance(errors, list) else []
    return TickView(
        started_at=_time(document.get("started_at")),
        seconds=float(seconds) if isinstance(seconds, (int, float)) else None,
        last_good_at=_time(document.get("last_good_at")),
        errors=tuple(text for text in texts if text),
    )


def _error_text(item: object) -> str:
    if not isinstance(item, dict):
        return ""
    return ": ".join(str(item[key]) for key in ("container", "why") if item.get(key))


def _time(value: object) -> datetime | None:
    try:
        return parse_time(str(value)) if value is not None else None
    except DataError:
        return None


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
