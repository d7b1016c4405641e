"""The answers of single operations, as plain data. Field names are JSON keys that scripts rely on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from ds01.api.views import ContainerView, SlotView
from ds01.dataclass import dataclass
from ds01.engines.protocol import ContainerSpec
from ds01.gpus.model import Gpu, GpuRequest, Refusal, SlotRef
from ds01.placement.allocation_input import SlotState
from ds01.policy.model import Reservation, UserLimits
from ds01.records.request import ContainerRequest


@dataclass(frozen=True)
class AimeView:
    """A container as AIME's tools list it: ours, or theirs and adoptable."""

    container: ContainerView
    framework: str | None
    architecture: str | None
    workspace: str | None
    data: str | None
    models: str | None
    exit_code: int | None
    size_bytes: int | None
    adoptable: bool


@dataclass(frozen=True)
class Acted:
    """A command's outcome. `already`: nothing had to be done. `warnings`: such as limits that have no effect."""

    container: ContainerView
    already: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What a create would do. `note`: why it would be CPU only without a request for that: `no_gpus`, `quota_zero`."""

    limits: UserLimits
    image_there: bool
    refusal: Refusal | None
    note: str | None
    slots: tuple[SlotRef, ...]
    spec: ContainerSpec | None
    arguments: tuple[str, ...]  # the limits as flags of `docker create`
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Sized:
    """A container with the size of its own layer in bytes; None if unknown."""

    container: ContainerView
    bytes: int | None


@dataclass(frozen=True)
class ImageView:
    """A user's own image. `name` is NAME, or NAME:TAG for another tag than latest.

    `used_by`: the containers created from it, full names for those of others. `outdated`: those of them that were
    created from an older image of this name.
    """

    reference: str
    name: str
    id: str
    created_at: datetime | None
    size_bytes: int | None
    labels: Mapping[str, str]
    used_by: tuple[str, ...]
    outdated: tuple[str, ...] = ()


@dataclass(frozen=True)
class SlotUsage:
    """A container's use of one of its slots; None: unknown. `processes`: the container's own."""

    slot: str
    utilisation_percent: float | None
    memory_used_bytes: int | None
    memory_bytes: int | None
    processes: int | None


@dataclass(frozen=True)
class UsageAdvice:
    """Little of a lease is used, and what would do instead: at most one of `profile`, `count` and `cpu_only`.

    `slots`: how many it has. `utilisation_percent`: the mean of them over `measured`. `count`: as many were used.
    """

    slots: int
    utilisation_percent: float
    measured: timedelta
    profile: str | None = None
    count: int | None = None
    cpu_only: bool = False


@dataclass(frozen=True)
class UsageView:
    """A running container's resource usage and limits; None: unknown. CPU in percent of one core.

    `io_…`: bytes from and to disks; `network_…`: bytes in and out together, unknown with the host's network.
    """

    name: str
    container: str
    user: str | None
    cpu_percent: float | None
    cpus: float | None
    memory_bytes: int | None
    memory_limit_bytes: int | None
    pids: int | None
    pids_limit: int | None
    io_read_bytes_per_second: float | None
    io_write_bytes_per_second: float | None
    network_bytes_per_second: float | None
    gpus: tuple[SlotView, ...]
    gpu_usage: tuple[SlotUsage, ...]
    advice: UsageAdvice | None = None


@dataclass(frozen=True)
class GpuStatus:
    """All slots of the server, lost slots of leases included."""

    slots: tuple[SlotState, ...]
    gpus: tuple[Gpu, ...]
    driver: str
    simulated: bool
    reservations: tuple[Reservation, ...] = ()  # current and future, the next one first

    @property
    def present(self) -> tuple[SlotState, ...]:
        """The slots that the hardware has now."""
        return tuple(slot for slot in self.slots if not slot.lost)


@dataclass(frozen=True)
class LimitsView:
    """A user's limits, also as flags for Docker."""

    limits: UserLimits
    arguments: tuple[str, ...]
    warnings: tuple[str, ...]
    reservations: tuple[Reservation, ...] = ()  # for this user, current and future, the next one first


@dataclass(frozen=True)
class QueueRow:
    """A waiter with its position, from 1. `why`: the rule that keeps it waiting, or `suspended`; None: it is served.

    `earliest`: when enough suitable GPUs are free if every lease ends when due; None: now, or unknown. `request`: None
    for users who are neither the owner nor an administrator.
    """

    id: str
    user: str
    name: str
    gpus: GpuRequest
    request: ContainerRequest | None
    priority: int
    since: datetime
    position: int
    why: str | None
    earliest: datetime | None = None


@dataclass(frozen=True)
class Stopped:
    """The result of an emergency stop: the full names of stopped containers, and the failures with their reasons.

    `problem`: what failed after the stops. `warnings`: owners who were not notified.
    """

    containers: tuple[str, ...]
    failed: tuple[str, ...] = ()
    problem: str | None = None
    warnings: tuple[str, ...] = ()
