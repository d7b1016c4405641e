"""What reconcile did."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Change:
    """Something that reconcile did: to which container, and what."""

    container: str
    what: str
