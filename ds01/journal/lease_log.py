"""Write gpu-allocations.log: a line for each slot allocated, held, resumed or released, in ds01-infra's format."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from ds01.dataclass import dataclass
from ds01.system import files
from ds01.system.clock import to_server_zone


@dataclass(frozen=True)
class LeaseLogEntry:
    """One line: ALLOCATED, HELD, RESUMED or RELEASED, with slot, container and reason."""

    event: str
    slot: str
    user: str
    container: str
    priority: int
    why: str


class LeaseLog:
    """Appends to the file at `path`. A failed write never stops the operation that it reports."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, lines: Iterable[LeaseLogEntry], now: datetime, *, mode: int) -> None:
        """Write the lines with the server's local time, whatever the caller's TZ is."""
        stamp = f"{to_server_zone(now):%Y-%m-%d %H:%M:%S}"
        text = "".join(f"{stamp} {_text(line)}\n" for line in lines)
        if text:
            with suppress(OSError):
                files.append(self._path, text.encode("utf-8", "replace"), mode=mode)


def _text(line: LeaseLogEntry) -> str:
    about = f"{line.event} {line.slot} {line.user} {line.container} priority={line.priority} {line.why}"
    return "".join(letter if letter.isprintable() else "?" for letter in about)  # a name cannot break the line
