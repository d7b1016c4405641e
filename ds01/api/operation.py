"""The base classes of operations: requests to the gate, as data, in process or over a socket."""

from __future__ import annotations

from collections.abc import Generator
from enum import Enum
from typing import ClassVar, Generic, TypeVar

from ds01.dataclass import dataclass
from ds01.records.request import ContainerRequest

R = TypeVar("R")
S = TypeVar("S")


class Access(Enum):
    """Who may run an operation. The gate checks it before the handler runs."""

    ADMIN = "admin"  # administrators only; the default
    OWNER = "owner"  # the user named by `owner_uid`, and administrators
    CONTAINER = "container"  # the owner of each of `container_names`, and administrators; others get NotFound
    EVERYBODY = "everybody"  # every user, or the handler checks it itself


@dataclass(frozen=True)
class Operation(Generic[R]):
    """A request with an answer of type `R`. Its fields survive JSON, see `wire.py`."""

    access: ClassVar[Access] = Access.ADMIN

    @property
    def owner_uid(self) -> int | None:
        """The user for whom the operation is, if `access` is OWNER; None: the actor."""
        raise NotImplementedError

    @property
    def container_names(self) -> tuple[str, ...]:
        """The full names of the containers that the operation is about, if `access` is CONTAINER."""
        raise NotImplementedError


@dataclass(frozen=True)
class StreamOperation(Operation[R], Generic[S, R]):
    """A long request: it yields steps of type `S`, and the `outcome` of the last step is the answer."""


class Step(Generic[R]):
    """A step of a stream. `outcome` is None except in the last step."""

    @property
    def outcome(self) -> R | None:
        raise NotImplementedError


Steps = Generator[S, None, None]  # closing it cancels the operation


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
