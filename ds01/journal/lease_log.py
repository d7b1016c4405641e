"""gpu-allocations.log: a line for each slot that was given, held or given back, in the form of older installations."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ds01.system import files
from ds01.system.clock import to_server_zone


@dataclass(frozen=True)
class LeaseLogEntry:
    """What happened to a slot: ALLOCATED, HELD, RESUMED or RELEASED; of which container, and why."""

    event: str
    slot: str
    user: str
    container: str
    priority: int
    why: str


class LeaseLog:
    """Appends to the file at `path`. A journal that cannot be written never stops what it reports."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, lines: Iterable[LeaseLogEntry], now: datetime, *, mode: int) -> None:
        """Write the lines, with the server's local time, whoever runs the command."""
        stamp = f"{to_server_zone(now):%Y-%m-%d %H:%M:%S}"
        text = "".join(f"{stamp} {_text(line)}\n" for line in lines)
        if text:
            with suppress(OSError):
                files.append(self._path, text.encode("utf-8", "replace"), mode=mode)


def _text(line: LeaseLogEntry) -> str:
    about = f"{line.event} {line.slot} {line.user} {line.container} priority={line.priority} {line.why}"
    return "".join(letter if letter.isprintable() else "?" for letter in about)  # one line each, whatever a name has
