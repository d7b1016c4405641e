"""Operations that measure containers: processes, sizes, usage."""

from __future__ import annotations

from typing import ClassVar

from ds01.api.answers import AimeView, Sized, UsageAdvice, UsageView
from ds01.api.operation import Access, OfContainer, OfContainers, Operation
from ds01.dataclass import dataclass


@dataclass(frozen=True)
class ListAime(Operation[tuple[AimeView, ...]]):
    """List containers as AIME's tools do, with those that they created and nobody adopted.

    `sizes`: with the bytes of their own layers, for which Docker may take seconds.
    """

    access: ClassVar[Access] = Access.EVERYBODY
    owner: int | None = None
    all_users: bool = False
    sizes: bool = False


@dataclass(frozen=True)
class CountProcesses(OfContainer, Operation[int]):
    """Count the processes that a stop would end; idle shells do not count."""


@dataclass(frozen=True)
class CountOtherProcesses(OfContainer, Operation[int]):
    """Count the processes in a container, without process 1 but with open shells."""


@dataclass(frozen=True)
class GetSizes(OfContainers, Operation[tuple[Sized, ...]]):
    """Return the bytes of the containers' own layers."""


@dataclass(frozen=True)
class GetUsageAdvice(OfContainer, Operation[UsageAdvice | None]):
    """Return an advice if little of the container's lease was used; None if there is nothing to say."""


@dataclass(frozen=True)
class GetUsage(OfContainers, Operation[tuple[UsageView, ...]]):
    """Return the resource usage of running containers; CPU as the mean over `over` seconds."""

    over: float = 0.25
