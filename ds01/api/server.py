"""Operations on GPUs, the queue, limits, and the whole server."""

from __future__ import annotations

from typing import ClassVar

from ds01.api.answers import Acted, GpuStatus, LimitsView, QueueRow, Stopped
from ds01.api.operation import Access, Operation
from ds01.api.views import Change
from ds01.dataclass import dataclass
from ds01.gpus.model import GpuRequest


@dataclass(frozen=True)
class GetGpuStatus(Operation[GpuStatus]):
    """Return all slots and their holders."""

    access: ClassVar[Access] = Access.EVERYBODY


@dataclass(frozen=True)
class GetGpuModels(Operation[tuple[str, ...]]):
    """Return the models of the server's GPUs; empty if they do not answer."""

    access: ClassVar[Access] = Access.EVERYBODY


@dataclass(frozen=True)
class AllocateGpus(Operation[Acted]):
    """Create a manual lease called `name` for the user `owner`. `priority`: overrides the user's."""

    access: ClassVar[Access] = Access.ADMIN
    owner: int
    name: str
    request: GpuRequest
    priority: int | None = None


@dataclass(frozen=True)
class ListQueue(Operation[tuple[QueueRow, ...]]):
    """Return the queue for GPUs in order."""

    access: ClassVar[Access] = Access.EVERYBODY


@dataclass(frozen=True)
class CancelWait(Operation[None]):
    """Remove a waiter of the actor, or as an administrator of anybody, from the queue.

    Raises NotFound, PermissionDenied.
    """

    access: ClassVar[Access] = Access.EVERYBODY  # the handler looks up the owner
    identity: str


@dataclass(frozen=True)
class GetLimits(Operation[LimitsView]):
    """Return the limits of a user (None: the actor)."""

    access: ClassVar[Access] = Access.EVERYBODY
    owner: int | None = None


@dataclass(frozen=True)
class Reconcile(Operation[tuple[Change, ...]]):
    """Update all records to match what the engine reports."""

    access: ClassVar[Access] = Access.EVERYBODY  # every list reconciles too


@dataclass(frozen=True)
class EmergencyStop(Operation[Stopped]):
    """Stop all running containers, or those of `owner`, at once: without grace, and without waiting for locks.

    `dry_run`: only return their names.
    """

    access: ClassVar[Access] = Access.ADMIN
    owner: int | None = None
    dry_run: bool = False
