"""Operations on containers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from ds01.api.operation import Access, Operation, StreamOperation
from ds01.api.views import Acted, AimeView, CreateStep, Ending, Listing, Plan, Sized, StartStep, UsageView
from ds01.records.request import ContainerRequest
from ds01.records.state_machine import Trigger


@dataclass(frozen=True)
class _OfContainer:
    """An operation on one container, given by its full name."""

    access: ClassVar[Access] = Access.CONTAINER
    container: str

    @property
    def container_names(self) -> tuple[str, ...]:
        return (self.container,)


@dataclass(frozen=True)
class _OfContainers:
    """An operation on several containers, given by their full names."""

    access: ClassVar[Access] = Access.CONTAINER
    containers: tuple[str, ...]

    @property
    def container_names(self) -> tuple[str, ...]:
        return self.containers


@dataclass(frozen=True)
class _OfRequest:
    """An operation on a container that does not exist yet."""

    access: ClassVar[Access] = Access.OWNER
    request: ContainerRequest

    @property
    def owner_uid(self) -> int:
        return self.request.owner


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
class ListAime(Operation[tuple[AimeView, ...]]):
    """List containers as AIME's tools do, with those that they created and nobody adopted.

    `sizes`: with the bytes of their own layers, for which Docker may take seconds.
    """

    access: ClassVar[Access] = Access.EVERYBODY
    owner: int | None = None
    all_users: bool = False
    sizes: bool = False


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
class PlanContainer(_OfRequest, Operation[Plan]):
    """Tell what creating the container would do, and whether it would be refused. Nothing is changed.

    `attempt`: somebody is about to create it, so a refusal is an event; unless it is temporary and they wait.
    """

    attempt: bool = False
    waits: bool = False


@dataclass(frozen=True)
class CreateContainer(_OfRequest, StreamOperation[CreateStep, Acted]):
    """Lease slots and create a container; `start`: start it too.

    `pull`: fetch an image that is not there; nothing is leased meanwhile. `wait`: wait in the queue while no GPU is
    free, for at most `longest`; closing the stream leaves the queue. Raises NoCapacity when `longest` is over.
    """

    start: bool = False
    pull: bool = False
    wait: bool = False
    longest: timedelta | None = None


@dataclass(frozen=True)
class StartContainer(_OfContainer, StreamOperation[StartStep, Acted]):
    """Start a container. `recreate`: create it again from its request first, on any slots.

    `wait`: wait in the queue for at most `longest`: for the container's own slots, or with `recreate` for any. Closing
    the stream leaves the queue. Raises NoCapacity when `longest` is over.
    """

    recreate: bool = False
    wait: bool = False
    longest: timedelta | None = None


@dataclass(frozen=True)
class RecreateContainer(_OfContainer, Operation[Acted]):
    """Create a container again from its request on the slots that it has; if it runs, it is stopped and started.

    For an image that was built again. The workspace stays; files elsewhere inside are lost. `grace`: seconds to save.
    """

    grace: float | None = None


@dataclass(frozen=True)
class AdoptContainer(Operation[Acted]):
    """Take over a container that AIME's tools created, given by its full name.

    `ending`: it is about to be stopped, and need not get the GPUs that it has.
    """

    access: ClassVar[Access] = Access.EVERYBODY  # whose it is, only the engine knows
    container: str
    ending: bool = False


@dataclass(frozen=True)
class StopContainer(_OfContainer, StreamOperation[Ending, Acted]):
    """Let the processes save for `grace` seconds (None: the policy's), then stop. `release`: the lease ends too.

    `keep`: the automation does not remove the container. Closing the stream lets it run on, with the processes that
    have not ended yet.
    """

    grace: float | None = None
    release: bool = False
    keep: bool = False


@dataclass(frozen=True)
class RemoveContainer(_OfContainer, StreamOperation[Ending, Acted]):
    """Remove a container. `force`: if it runs, it is stopped first. `images`: its image too, if the owner's own.

    Closing the stream lets it run on, with the processes that have not ended yet.
    """

    force: bool = False
    grace: float | None = None
    images: bool = False


@dataclass(frozen=True)
class ExtendContainer(_OfContainer, Operation[Acted]):
    """Move the idle and the runtime deadline by `duration`, within the policy's max_extension."""

    duration: timedelta
    reason: str | None = None


@dataclass(frozen=True)
class PauseContainer(_OfContainer, Operation[Acted]):
    """Freeze all processes of a container; its lease stays."""


@dataclass(frozen=True)
class UnpauseContainer(_OfContainer, Operation[Acted]):
    """Let a paused container go on."""


@dataclass(frozen=True)
class ReleaseLease(_OfContainer, Operation[Acted]):
    """End the lease of a container that does not run, or a manual lease."""


@dataclass(frozen=True)
class MarkContainer(_OfContainer, Operation[Acted]):
    """Tell ds01 that a container was started or stopped (`trigger`). Raises InvalidState if Docker disagrees."""

    trigger: Trigger


@dataclass(frozen=True)
class CountProcesses(_OfContainer, Operation[int]):
    """Count the processes that a stop would end; idle shells do not count."""


@dataclass(frozen=True)
class CountOtherProcesses(_OfContainer, Operation[int]):
    """Count the processes in a container besides its first; open shells count."""


@dataclass(frozen=True)
class GetSizes(_OfContainers, Operation[tuple[Sized, ...]]):
    """Return the bytes of the containers' own layers."""


@dataclass(frozen=True)
class GetUsage(_OfContainers, Operation[tuple[UsageView, ...]]):
    """Return what running containers use; CPU as the mean over `over` seconds."""

    over: float = 0.25
