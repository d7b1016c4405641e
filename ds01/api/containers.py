"""Operations on containers."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from ds01.api.answers import Acted, Plan
from ds01.api.operation import Access, OfContainer, OfRequest, Operation, StreamOperation
from ds01.api.steps import CreateStep, Ending, StartStep
from ds01.dataclass import dataclass
from ds01.records.state_machine import Trigger


@dataclass(frozen=True)
class PlanContainer(OfRequest, Operation[Plan]):
    """Return what creating the container would do, and whether it would be refused. Nothing is changed.

    `attempt`: the user is about to create it, so a refusal is an event, unless it is temporary and the user `waits`.
    """

    attempt: bool = False
    waits: bool = False


@dataclass(frozen=True)
class CreateContainer(OfRequest, StreamOperation[CreateStep, Acted]):
    """Lease slots and create a container; `start`: start it too.

    `pull`: fetch a missing image; nothing is leased meanwhile. `wait`: wait in the queue while no GPU is
    free, for at most `longest`; closing the stream leaves the queue. Raises NoCapacity when `longest` is over.
    """

    start: bool = False
    pull: bool = False
    wait: bool = False
    longest: timedelta | None = None


@dataclass(frozen=True)
class StartContainer(OfContainer, StreamOperation[StartStep, Acted]):
    """Start a container. `recreate`: create it again from its request first, on any slots.

    `wait`: wait in the queue for at most `longest`: for the container's own slots, or with `recreate` for any. Closing
    the stream leaves the queue. Raises NoCapacity when `longest` is over.
    """

    recreate: bool = False
    wait: bool = False
    longest: timedelta | None = None


@dataclass(frozen=True)
class RecreateContainer(OfContainer, Operation[Acted]):
    """Create a container again from its request on the slots that it has; if it runs, it is stopped and started.

    Use it after the image was rebuilt. The workspace stays; files elsewhere inside are lost. `grace`: seconds to save.
    """

    grace: float | None = None


@dataclass(frozen=True)
class AdoptContainer(Operation[Acted]):
    """Adopt a container that AIME's tools created, given by its full name.

    `ending`: it is about to be stopped, and need not get the GPUs that it has.
    """

    access: ClassVar[Access] = Access.EVERYBODY  # the handler checks it: only the engine knows the owner
    container: str
    ending: bool = False


@dataclass(frozen=True)
class StopContainer(OfContainer, StreamOperation[Ending, Acted]):
    """Let the processes save for `grace` seconds (None: the policy's), then stop. `release`: the lease ends too.

    `keep`: the automation will not remove the container. Closing the stream leaves it running, with the processes that
    have not ended yet.
    """

    grace: float | None = None
    release: bool = False
    keep: bool = False


@dataclass(frozen=True)
class RemoveContainer(OfContainer, StreamOperation[Ending, Acted]):
    """Remove a container. `force`: stop it first if it runs. `images`: also remove its image, if it is the owner's.

    Closing the stream leaves it running, with the processes that have not ended yet.
    """

    force: bool = False
    grace: float | None = None
    images: bool = False


@dataclass(frozen=True)
class ExtendContainer(OfContainer, Operation[Acted]):
    """Move the idle and the runtime deadline by `duration`, within the policy's max_extension."""

    duration: timedelta
    reason: str | None = None


@dataclass(frozen=True)
class PauseContainer(OfContainer, Operation[Acted]):
    """Freeze all processes of a container; its lease stays."""


@dataclass(frozen=True)
class UnpauseContainer(OfContainer, Operation[Acted]):
    """Continue a paused container."""


@dataclass(frozen=True)
class ReleaseLease(OfContainer, Operation[Acted]):
    """End the lease of a container that does not run, or a manual lease."""


@dataclass(frozen=True)
class MarkContainer(OfContainer, Operation[Acted]):
    """Tell ds01 that a container was started or stopped (`trigger`). Raises InvalidState if Docker disagrees."""

    trigger: Trigger
