"""What the gate answers with: plain data, with the keys that scripts rely on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ds01.engines.protocol import ContainerSpec, EngineContainer
from ds01.gpus.model import Gpu, Kind, Observation, Refusal, SlotRef
from ds01.lifecycle.stop import Saving
from ds01.placement.situation import SlotState
from ds01.policy.model import Automation, Limits, Reservation, UserLimits
from ds01.records.deadlines import Deadline, deadline, held_until, idle_since, is_idle, is_kept_alive
from ds01.records.record import Ended, Origin, Record


@dataclass(frozen=True)
class SlotView:
    """A slot of a container. `was`: its name at the time of the lease, where that is another today."""

    slot: str
    uuid: str
    kind: Kind
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
    ended: Ended | None
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
class Ending:
    """A step of a stop: who may still save their work, or at last the outcome."""

    saving: Saving | None = None
    acted: Acted | None = None


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


def view(record: Record, limits: Limits, policies: Automation, seen: EngineContainer | None = None) -> ContainerView:
    """A record, and what the engine's list adds."""
    ports = seen.ports if seen is not None else ()
    return ContainerView(
        name=record.name,
        container=record.container_name,
        user=record.user,
        uid=record.uid,
        state=record.state.value,
        paused=record.paused,
        image=record.image,
        project=record.project,
        gpus=_slots(record.lease.slots if record.lease else ()),
        gpus_fixed=_slots(record.gpus_fixed),
        ports=tuple(PortView(port.container_port, port.host_port, port.host_ip) for port in ports),
        created_at=record.created_at,
        started_at=record.started_at,
        stopped_at=record.stopped_at,
        held_until=held_until(record, limits),
        idle_since=idle_since(record) if is_idle(record) else None,
        kept_alive=is_kept_alive(record),
        deadline=deadline(record, limits, policies),
        docker_id=record.docker_id,
        conflict=record.conflict,
        ended=record.ended,
        origin=record.origin,
    )


def foreign_view(seen: EngineContainer) -> ContainerView:
    """A container that ds01 did not make."""
    return ContainerView(
        name=seen.name,
        container=seen.name,
        user=seen.labels.get("aime.mlc.USER") or None,
        uid=None,
        state=seen.status.value,
        paused=seen.status.value == "paused",
        image=seen.image,
        project=None,
        gpus=(),
        gpus_fixed=(),
        ports=tuple(PortView(port.container_port, port.host_port, port.host_ip) for port in seen.ports),
        created_at=seen.created_at,
        started_at=seen.started_at,
        stopped_at=seen.finished_at,
        held_until=None,
        idle_since=None,
        kept_alive=False,
        deadline=None,
        docker_id=seen.id,
        conflict=None,
        ended=None,
        origin=None,
    )


def aime_view(container: ContainerView, seen: EngineContainer, *, adoptable: bool) -> AimeView:
    """A container with what its labels say to AIME's tools."""
    said = {key: seen.labels.get(f"aime.mlc.{key}") for key in ("FRAMEWORK", "ARCH", "WORK_MOUNT", "DATA_MOUNT")}
    return AimeView(
        container,
        said["FRAMEWORK"],
        said["ARCH"],
        said["WORK_MOUNT"],
        said["DATA_MOUNT"],
        seen.labels.get("aime.mlc.MODELS_MOUNT"),
        seen.exit_code,
        seen.size_bytes,
        adoptable,
    )


def _slots(refs: tuple[SlotRef, ...]) -> tuple[SlotView, ...]:
    return tuple(SlotView(ref.slot, ref.uuid, ref.kind, ref.profile, ref.was) for ref in refs)


def slot_usage(record: Record, gpus: Observation | None) -> tuple[SlotUsage, ...]:
    """What a running container does with each slot of its lease."""
    there = {slot.uuid: slot for slot in gpus.slots} if gpus else {}
    found = []
    for ref in record.lease.slots if record.lease else ():
        slot = there.get(ref.uuid)
        if gpus is None or slot is None:
            found.append(SlotUsage(ref.slot, None, None, None, None))
            continue
        shown = slot.processes
        own = None if shown is None else sum(process.container == record.docker_id for process in shown)
        busy = gpus.utilisation_of(slot)
        found.append(SlotUsage(ref.slot, busy, slot.memory_used_bytes, slot.memory_bytes, own))
    return tuple(found)
