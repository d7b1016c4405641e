"""The answers of the gate: plain data, with the keys that scripts rely on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ds01.api.operation import Step
from ds01.engines.protocol import ContainerSpec, Progress
from ds01.gpus.model import Gpu, Refusal, SlotKind, SlotRef
from ds01.placement.allocation_input import SlotState
from ds01.policy.model import Limits, Reservation, UserLimits
from ds01.records.deadlines import Deadline
from ds01.records.record import ContainerEnd, Origin
from ds01.records.request import ContainerRequest


@dataclass(frozen=True)
class SlotView:
    """A slot of a container. `was`: its name at the time of the lease, where that is another today."""

    slot: str
    uuid: str
    kind: SlotKind
    profile: str | None
    was: str | None = None


@dataclass(frozen=True)
class PortView:
    """A published port, `host_port` None while the container does not run."""

    container_port: int
    host_port: int | None
    host_ip: str


@dataclass(frozen=True)
class ContainerView:
    """A container as people and scripts see it. `state` is the lifecycle's, or Docker's word for a foreign one.

    `origin`: created, adopted, or manual for a lease without a container; None for a foreign container.
    """

    name: str
    container: str
    user: str | None
    uid: int | None
    state: str
    paused: bool
    image: str
    project: str | None
    gpus: tuple[SlotView, ...]
    gpus_fixed: tuple[SlotView, ...]
    ports: tuple[PortView, ...]
    created_at: datetime | None
    started_at: datetime | None
    stopped_at: datetime | None
    held_until: datetime | None
    idle_since: datetime | None  # None while it works, or nobody can tell
    kept_alive: bool  # `.keep-alive` holds off an idle stop that is due
    deadline: Deadline | None
    docker_id: str | None
    conflict: str | None
    ended: ContainerEnd | None
    origin: Origin | None

    @property
    def is_manual(self) -> bool:
        """Whether this is a lease that was allocated by hand, without a container."""
        return self.origin is Origin.MANUAL


@dataclass(frozen=True)
class Listing:
    """Containers, and the full names of the owner's others that AIME's tools made and nobody adopted."""

    containers: tuple[ContainerView, ...]
    adoptable: tuple[str, ...]


@dataclass(frozen=True)
class AimeView:
    """A container as AIME's tools list it: one of ours, or one of theirs that can be adopted."""

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
    """A command's outcome. `already`: it was as wanted before. `warnings`: what this kernel does not enforce."""

    container: ContainerView
    already: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Saving:
    """Processes that were told to end and may still save their work, and the whole seconds they have left.

    0 seconds: their time is over, and they are killed.
    """

    processes: int
    seconds_left: int


@dataclass(frozen=True)
class Ending(Step[Acted]):
    """A step of a stop: who may still save their work, or at last the outcome."""

    saving: Saving | None = None
    acted: Acted | None = None

    @property
    def outcome(self) -> Acted | None:
        return self.acted


@dataclass(frozen=True)
class Waiting:
    """A waiter's position in the queue, from 1, and why it waits."""

    id: str
    position: int
    refusal: Refusal


@dataclass(frozen=True)
class StartStep(Step[Acted]):
    """A step of a start: a new position in the queue, or at last the outcome."""

    waiting: Waiting | None = None
    acted: Acted | None = None

    @property
    def outcome(self) -> Acted | None:
        return self.acted


@dataclass(frozen=True)
class CreateStep(Step[Acted]):
    """A step of a create; the fields are those of its stage.

    `fetching` an image (`progress`), `creating`, `waiting` in the queue, `created` and `started` (`acted`).
    `note`: why the container has no GPU although nobody said so: `no_gpus`, `quota_zero`. `limits`: those it has.
    """

    stage: str
    progress: Progress | None = None
    waiting: Waiting | None = None
    acted: Acted | None = None
    note: str | None = None
    limits: Limits | None = None

    @property
    def outcome(self) -> Acted | None:
        return self.acted


@dataclass(frozen=True)
class Plan:
    """What a create would do. `note`: why it would be CPU only, if nobody said so: `no_gpus`, `quota_zero`."""

    limits: UserLimits
    image_there: bool
    refusal: Refusal | None
    note: str | None
    slots: tuple[SlotRef, ...]
    spec: ContainerSpec | None
    arguments: tuple[str, ...]  # the limits as docker's flags
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Sized:
    """A container and the bytes of its own layer, if Docker says."""

    container: ContainerView
    bytes: int | None


@dataclass(frozen=True)
class ImageView:
    """An image of somebody's own. `name` is NAME, or NAME:TAG for another tag than latest.

    `used_by`: names of the containers that were made from it, with the uid for those of others. `outdated`: those of
    them that were made before the image became what it is.
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
    """What a container does with one of its slots; None: unknown. `processes` are its own."""

    slot: str
    utilisation_percent: float | None
    memory_used_bytes: int | None
    memory_bytes: int | None
    processes: int | None


@dataclass(frozen=True)
class UsageView:
    """What a running container uses, against its limits. CPU in percent of one core."""

    name: str
    container: str
    user: str | None
    cpu_percent: float | None
    cpus: float | None
    memory_bytes: int | None
    memory_limit_bytes: int | None
    pids: int | None
    pids_limit: int | None
    gpus: tuple[SlotView, ...]
    gpu_usage: tuple[SlotUsage, ...]


@dataclass(frozen=True)
class GpuStatus:
    """All slots of the server, and those of leases that it no longer has."""

    slots: tuple[SlotState, ...]
    gpus: tuple[Gpu, ...]
    driver: str
    simulated: bool
    reservations: tuple[Reservation, ...] = ()  # in force or to come, the next first

    @property
    def present(self) -> tuple[SlotState, ...]:
        """The slots that the hardware has."""
        return tuple(slot for slot in self.slots if not slot.lost)


@dataclass(frozen=True)
class LimitsView:
    """A user's limits, and the flags for Docker."""

    limits: UserLimits
    arguments: tuple[str, ...]
    warnings: tuple[str, ...]
    reservations: tuple[Reservation, ...] = ()  # for this user, in force or to come, the next first


@dataclass(frozen=True)
class QueueRow:
    """A waiter with its position, from 1. `why`: the rule that keeps it waiting, or `suspended`; None: it is next."""

    id: str
    user: str
    name: str
    request: ContainerRequest
    priority: int
    since: datetime
    position: int
    why: str | None


@dataclass(frozen=True)
class Change:
    """Something that reconciling changed: of which container, and what."""

    container: str
    what: str


@dataclass(frozen=True)
class Stopped:
    """The full names of the containers that an emergency stop stopped, and of those that it did not, with why.

    `problem`: what went wrong afterwards, when nothing was left to stop. `warnings`: owners who were not told.
    """

    containers: tuple[str, ...]
    failed: tuple[str, ...] = ()
    problem: str | None = None
    warnings: tuple[str, ...] = ()
