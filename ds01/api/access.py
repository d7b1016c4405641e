"""Operations that ask what the actor may do. Every command with `--user` needs one, so this module imports little."""

from __future__ import annotations

from typing import ClassVar

from ds01.api.operation import Access, Operation
from ds01.dataclass import dataclass


@dataclass(frozen=True)
class IsAdmin(Operation[bool]):
    """Return whether the actor is an administrator."""

    access: ClassVar[Access] = Access.EVERYBODY


@dataclass(frozen=True)
class CheckOwner(Operation[None]):
    """Check that the actor may act for the user `owner`. Raises PermissionDenied."""

    access: ClassVar[Access] = Access.OWNER
    owner: int

    @property
    def owner_uid(self) -> int:
        return self.owner
