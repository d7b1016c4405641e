"""Containers as people and scripts see them, as plain data. Field names are JSON keys that scripts rely on."""

from __future__ import annotations

from datetime import datetime

from ds01.dataclass import dataclass
from ds01.gpus.model import SlotKind
from ds01.records.deadlines import Deadline
from ds01.records.record import ContainerEnd, Origin


@dataclass(frozen=True)
class SlotView:
    """A slot of a container. `was`: its name at the time of the lease, if it differs today."""

    slot: str
    uuid: str
    kind: SlotKind
    profile: str | None
    was: str | None = None


@dataclass(frozen=True)
class PortView:
    """A published port. `host_port` is None while the container does not run."""

    container_port: int
    host_port: int | None
    host_ip: str


@dataclass(frozen=True)
class ContainerView:
    """A container as people and scripts see it. `state` is ours, or Docker's for a container from outside ds01.

    `origin`: created, adopted, or manual (a lease without a container); None for a container from outside ds01.
    """

    name: str
    container: str
    user: str | None
    uid: int | None
    state: str
    paused: bool
    image: str | None  # None: of somebody else, and not shown
    project: str | None
    gpus: tuple[SlotView, ...]
    gpus_fixed: tuple[SlotView, ...]
    ports: tuple[PortView, ...]
    created_at: datetime | None
    started_at: datetime | None
    stopped_at: datetime | None
    held_until: datetime | None
    idle_since: datetime | None  # None while active or unknown
    kept_alive: bool  # `.keep-alive` puts off an idle stop that is due
    deadline: Deadline | None
    docker_id: str | None
    conflict: str | None
    ended: ContainerEnd | None
    origin: Origin | None

    @property
    def is_manual(self) -> bool:
        """Whether this is a manual lease, without a container."""
        return self.origin is Origin.MANUAL


@dataclass(frozen=True)
class Listing:
    """Containers, and the full names of the owner's containers of AIME's tools that can be adopted."""

    containers: tuple[ContainerView, ...]
    adoptable: tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """A change by reconcile: to which container, and what."""

    container: str
    what: str
