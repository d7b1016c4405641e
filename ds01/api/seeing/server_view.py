"""The whole server at one moment, for every screen. Field names are JSON keys that scripts rely on.

What is unknown is None, and never 0. Percentages are 0 to 100 (CPU: of one core), sizes bytes, times UTC.
"""

from __future__ import annotations

from datetime import datetime

from ds01.api.views import ContainerView
from ds01.dataclass import dataclass
from ds01.gpus.model import GpuRequest, SlotKind
from ds01.policy.model import Reservation
from ds01.records.deadlines import Deadline

SCHEMA = 1  # of the JSON document; raised when a key changes its meaning or goes


@dataclass(frozen=True)
class ProcessView:
    """A process on a GPU. `user` and `command` are None if unknown, or if the viewer may not see them."""

    pid: int
    user: str | None
    command: str | None
    memory_bytes: int | None
    container: str | None  # full name; None: outside ds01's containers, or unknown


@dataclass(frozen=True)
class ServerSlot:
    """A slot with its lease, its holder, and its use.

    `state`: free, leased, held, waiting, reserved, busy_outside, unhealthy. `until`: when the slot comes free if nobody
    acts. `deadline`: what happens next to its container automatically. `activity`: active, idle or unknown, as the last
    tick judged a running container. `used_percent`: mean utilisation of the lease so far, in the last
    3 days. `gpu_instance`: the id of the MIG GPU instance, which NVML calls so.
    """

    slot: str
    uuid: str
    kind: SlotKind
    profile: str | None
    gpu: int
    model: str | None
    state: str
    why: str | None
    lost: bool
    container: str | None
    name: str | None
    user: str | None
    since: datetime | None
    until: datetime | None
    deadline: Deadline | None
    activity: str | None
    idle_since: datetime | None
    used_percent: float | None
    utilisation_percent: float | None
    memory_used_bytes: int | None
    memory_bytes: int | None
    processes: tuple[ProcessView, ...] | None
    gpu_instance: int | None = None


@dataclass(frozen=True)
class ServerGpu:
    """A physical GPU as NVML reports it."""

    index: int
    uuid: str
    model: str
    mig: str
    unhealthy: str | None
    utilisation_percent: float | None
    memory_used_bytes: int | None
    memory_bytes: int
    temperature_celsius: float | None
    power_watts: float | None


@dataclass(frozen=True)
class SlotSupply:
    """How many slots of one kind there are and are free, and when the next one comes free if none is."""

    kind: SlotKind
    profile: str | None
    model: str | None
    total: int
    free: int
    earliest: datetime | None


@dataclass(frozen=True)
class ServerContainer:
    """A container with its use and limits. CPU is the mean since the last tick."""

    container: ContainerView
    group: str | None
    cpu_percent: float | None
    cpus: float | None
    memory_bytes: int | None
    memory_limit_bytes: int | None
    pids: int | None
    pids_limit: int | None
    activity: str | None


@dataclass(frozen=True)
class ServerUser:
    """A user who has a container or waits. Limits: None is unlimited.

    `disk_bytes`: images, container layers and workspaces; None until all three were measured.
    """

    user: str
    uid: int
    group: str
    priority: int
    gpus: int
    gpus_limit: int | None
    containers: int
    containers_limit: int | None
    running: int
    cpu_percent: float | None
    memory_bytes: int | None
    waiting: int
    disk_bytes: int | None = None
    disk_measured_at: datetime | None = None


@dataclass(frozen=True)
class ServerGroup:
    """The sums of a group's users."""

    group: str
    users: int
    gpus: int
    containers: int
    running: int
    cpu_percent: float | None
    memory_bytes: int | None


@dataclass(frozen=True)
class WaitingView:
    """A waiter in the queue. `why`: the rule that keeps it waiting; `earliest`: when its GPUs may be free."""

    id: str
    user: str
    name: str
    gpus: GpuRequest
    priority: int
    since: datetime
    position: int
    why: str | None
    earliest: datetime | None


@dataclass(frozen=True)
class TickView:
    """The last pass of the automation. All None: there was none yet."""

    started_at: datetime | None
    seconds: float | None
    last_good_at: datetime | None
    errors: tuple[str, ...]


@dataclass(frozen=True)
class DiskView:
    """A file system that ds01 needs. `holds`: what is stored there."""

    path: str
    holds: tuple[str, ...]
    total_bytes: int
    free_bytes: int


@dataclass(frozen=True)
class DiskUseView:
    """What takes disk space, as it was measured last.

    `kind`: images, containers, volumes, build_cache, workspaces. `user` None: nobody's, such as layers that several
    images share.
    """

    kind: str
    user: str | None
    uid: int | None
    bytes: int
    measured_at: datetime


@dataclass(frozen=True)
class MachineView:
    """The server's processors and memory. `load`: the mean number of runnable processes in the last minute."""

    name: str
    cpus: int | None
    load: float | None
    memory_bytes: int | None
    memory_available_bytes: int | None
    booted_at: datetime | None


@dataclass(frozen=True)
class OutsideView:
    """Use of a GPU that no lease explains: a container, or a process, that ds01 did not start.

    A process of such a container has its name in `who` too. `command`: the command line, for administrators.
    """

    slot: str
    what: str  # container, process or unknown
    who: str
    user: str | None
    pid: int | None
    since: datetime | None
    command: str | None = None


@dataclass(frozen=True)
class ServerView:
    """The whole server. `complaints`: what needs an administrator, a line each. `unknown`: what did not answer."""

    at: datetime
    driver: str | None
    simulated: bool
    machine: MachineView
    gpus: tuple[ServerGpu, ...]
    slots: tuple[ServerSlot, ...]
    supply: tuple[SlotSupply, ...]
    containers: tuple[ServerContainer, ...]
    users: tuple[ServerUser, ...]
    groups: tuple[ServerGroup, ...]
    queue: tuple[WaitingView, ...]
    reservations: tuple[Reservation, ...]
    outside: tuple[OutsideView, ...]
    tick: TickView
    disks: tuple[DiskView, ...]
    complaints: tuple[str, ...]
    unknown: tuple[str, ...]
    schema: int = SCHEMA
    disk_use: tuple[DiskUseView, ...] = ()
