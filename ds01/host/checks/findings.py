"""What doctor says: findings, and the repairs that `--fix` may make. All of it is data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any


class Level(str, Enum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class SetMode:
    """Give a file or folder its mode, and its owner and group where these are said."""

    path: str
    mode: int
    uid: int | None = None
    gid: int | None = None


@dataclass(frozen=True)
class CreateDirectory:
    """Make a folder."""

    path: str
    mode: int
    gid: int | None = None


@dataclass(frozen=True)
class CreateLink:
    """Make a symbolic link, in place of another link or of nothing."""

    path: str
    target: str


@dataclass(frozen=True)
class CreateGroup:
    """Make a Unix group."""

    name: str


@dataclass(frozen=True)
class ReconcileRecords:
    """Bring the records to what Docker says."""


@dataclass(frozen=True)
class RewriteGpuState:
    """Draw gpu-state.json anew from the records."""


@dataclass(frozen=True)
class ApplySliceLimits:
    """Give the slices the limits of the policy, but for what would end something that runs."""


Fix = SetMode | CreateDirectory | CreateLink | CreateGroup | ReconcileRecords | RewriteGpuState | ApplySliceLimits


@dataclass(frozen=True)
class Finding:
    """What a check found, why it matters, how to mend it, and the repairs that `--fix` makes (none: it does not)."""

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
    """Something that should be otherwise, and that ds01 works in spite of."""
    return Finding(check, Level.WARNING, found, why, hint, fixes)


def error(
    check: str, found: str, why: str | None = None, hint: str | None = None, fixes: tuple[Fix, ...] = ()
) -> Finding:
    """Something that keeps ds01 from doing what it is there for."""
    return Finding(check, Level.ERROR, found, why, hint, fixes)


def join_few(items: list[str], most: int = 5) -> str:
    """The first of several, and how many more there are."""
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more
