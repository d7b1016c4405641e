"""An operation is data: what somebody asks of the gate, in process or over a socket."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, Generic, TypeVar

R = TypeVar("R")
S = TypeVar("S")


class Access(Enum):
    """Who may have an operation run. The gate checks it before the handler runs."""

    ADMIN = "admin"  # administrators only; what an operation gets that declares nothing
    OWNER = "owner"  # the user named by `owner_uid`, and administrators
    CONTAINER = "container"  # the owner of each of `container_names`, and administrators; to others it does not exist
    EVERYBODY = "everybody"  # what every user may see, or what the handler checks itself


@dataclass(frozen=True)
class Operation(Generic[R]):
    """A request whose answer is an `R`. Its fields survive JSON, see `wire`."""

    access: ClassVar[Access] = Access.ADMIN

    @property
    def owner_uid(self) -> int | None:
        """The user for whom it is, where `access` is OWNER; None: the actor."""
        return None

    @property
    def container_names(self) -> tuple[str, ...]:
        """The full names of the containers that it is about, where `access` is CONTAINER."""
        return ()


@dataclass(frozen=True)
class StreamOperation(Operation[R], Generic[S, R]):
    """A request that takes its time: steps of type `S`, the last of which has the answer as its `outcome`."""


class Step(Generic[R]):
    """A step of a stream. `outcome` is None for all but the last one."""

    @property
    def outcome(self) -> R | None:
        raise NotImplementedError


Steps = Generator[S, None, None]  # closing it cancels the operation
