"""Base classes of operations on containers: their subject, and who may run them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ds01.api.operation import Access
from ds01.records.request import ContainerRequest


@dataclass(frozen=True)
class OfContainer:
    """An operation on one container, given by its full name."""

    access: ClassVar[Access] = Access.CONTAINER
    container: str

    @property
    def container_names(self) -> tuple[str, ...]:
        return (self.container,)


@dataclass(frozen=True)
class OfContainers:
    """An operation on several containers, given by their full names."""

    access: ClassVar[Access] = Access.CONTAINER
    containers: tuple[str, ...]

    @property
    def container_names(self) -> tuple[str, ...]:
        return self.containers


@dataclass(frozen=True)
class OfRequest:
    """An operation on a container that does not exist yet."""

    access: ClassVar[Access] = Access.OWNER
    request: ContainerRequest

    @property
    def owner_uid(self) -> int:
        return self.request.owner
