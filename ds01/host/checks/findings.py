"""The output of doctor as data: findings, and the fixes that `--fix` may apply."""

from __future__ import annotations

from enum import Enum
from typing import Any

from ds01.dataclass import dataclass


class Level(str, Enum):
    """The severity of a finding."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class SetMode:
    """Set the mode of a file or directory, and its owner and group unless None."""

    path: str
    mode: int
    uid: int | None = None
    gid: int | None = None


@dataclass(frozen=True)
class CreateDirectory:
    """Create a directory."""

    path: str
    mode: int
    gid: int | None = None


@dataclass(frozen=True)
class CreateLink:
    """Create a symbolic link, or replace another link."""

    path: str
    target: str


@dataclass(frozen=True)
class CreateGroup:
    """Create a Unix group."""

    name: str


@dataclass(frozen=True)
class ReconcileRecords:
    """Bring the records up to date with Docker."""


@dataclass(frozen=True)
class RewriteGpuState:
    """Rewrite gpu-state.json from the records."""


@dataclass(frozen=True)
class ApplySliceLimits:
    """Apply the policy's limits to the slices, except those that would kill running processes."""


Fix = SetMode | CreateDirectory | CreateLink | CreateGroup | ReconcileRecords | RewriteGpuState | ApplySliceLimits


@dataclass(frozen=True)
class Finding:
    """What a check found, why it matters, how to fix it, and the fixes that `--fix` applies (empty: none)."""

    check: str
    level: Level
    found: str
    why: str | None = None
    hint: str | None = None
    fixes: tuple[Fix, ...] = ()
    fixed: bool = False

    @property
    def document(self) -> dict[str, Any]:
        """The finding with the keys that scripts rely on."""
        return {
            "check": self.check,
            "level": self.level.value,
            "found": self.found,
            "why": self.why,
            "hint": self.hint,
            "fixable": bool(self.fixes),
            "fixed": self.fixed,
        }


def warning(
    check: str, found: str, why: str | None = None, hint: str | None = None, fixes: tuple[Fix, ...] = ()
) -> Finding:
    """Return a finding that does not keep ds01 from working."""
    return Finding(check, Level.WARNING, found, why, hint, fixes)


def error(
    check: str, found: str, why: str | None = None, hint: str | None = None, fixes: tuple[Fix, ...] = ()
) -> Finding:
    """Return a finding that keeps ds01 from working properly."""
    return Finding(check, Level.ERROR, found, why, hint, fixes)


def join_few(items: list[str], most: int = 5) -> str:
    """Return the first `most` items, and how many more there are."""
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more
