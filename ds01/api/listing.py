"""Operations that list and find containers."""

from __future__ import annotations

from typing import ClassVar

from ds01.api.operation import Access, Operation
from ds01.api.views import Listing
from ds01.dataclass import dataclass
from ds01.records.request import ContainerRequest


@dataclass(frozen=True)
class ListContainers(Operation[Listing]):
    """List the containers of `owner` (None: the actor), or of `all_users`.

    `everything`: removed ones and those of others too. `manual`: leases without a container too.
    """

    access: ClassVar[Access] = Access.EVERYBODY
    owner: int | None = None
    all_users: bool = False
    everything: bool = False
    manual: bool = False


@dataclass(frozen=True)
class ResolveContainer(Operation[str]):
    """Find the full name of the container that `reference` means: exact spelling first, then folded.

    Raises NotFound, also for other users' containers.
    """

    access: ClassVar[Access] = Access.EVERYBODY
    reference: str
    owner: int | None = None


@dataclass(frozen=True)
class FindAdoptable(Operation[str]):
    """Find the full name of a container that AIME's tools created and no record knows. Raises NotFound."""

    access: ClassVar[Access] = Access.EVERYBODY
    reference: str
    owner: int | None = None


@dataclass(frozen=True)
class GetLastRequest(Operation[ContainerRequest | None]):
    """Return the request of the last removed container of this name, to create it again; None if none is kept.

    Raises InvalidState if the name is taken.
    """

    access: ClassVar[Access] = Access.EVERYBODY
    name: str
    owner: int | None = None


@dataclass(frozen=True)
class GetGpuQuota(Operation[int | None]):
    """Return how many slots a user may have at once; None: any number."""

    access: ClassVar[Access] = Access.EVERYBODY
    owner: int
