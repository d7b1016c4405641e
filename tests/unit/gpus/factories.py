"""Builders of input for the allocator's tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone

from ds01.engines.protocol import ContainerStatus, Devices, EngineContainer
from ds01.gpus.model import ActiveLease, Blocker, GpuObservation, Slot
from ds01.gpus.simulated import parse_inventory
from ds01.placement.allocation_input import AllocationInput, Requester
from ds01.policy.model import GpuAllocation, Limits, Reservation

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)
ALICE_REQUESTER = Requester("alice", 1001, "students", "new._.1001")
PLENTY = Limits(max_mig_instances=None, max_gpus_per_container=None)


def observe_gpus(text: str) -> GpuObservation:
    """Return the GPUs described by a line such as `1xA100:3x2g.10gb`."""
    return parse_inventory(text).observe()


def slot_of(observation: GpuObservation, name: str) -> Slot:
    """Return the slot with that name."""
    return next(slot for slot in observation.slots if slot.slot == name)


def active_lease(
    observation: GpuObservation,
    *names: str,
    user: str = "bob",
    uid: int = 1002,
    container: str | None = None,
    priority: int = 10,
    until: datetime | None = None,
    held: bool = False,
) -> ActiveLease:
    """Return a lease on slots that exist."""
    uuids = tuple(slot_of(observation, name).uuid for name in names)
    container = container or f"{user}-{'-'.join(names)}._.{uid}"
    return ActiveLease(container, user, uid, names, uuids, priority, NOW - HOUR, until, held)


def lost_lease(name: str, uuid: str = "MIG-gone", *, user: str = "bob", uid: int = 1002) -> ActiveLease:
    """Return a lease on a slot that the hardware no longer has."""
    return ActiveLease(f"{user}-lost._.{uid}", user, uid, (name,), (uuid,), 10, NOW - HOUR)


def allocation_input(
    observation: GpuObservation | str,
    leases: Sequence[ActiveLease] = (),
    *,
    occupancy: Mapping[str, Blocker] | None = None,
    reservations: Sequence[Reservation] = (),
    allocation: GpuAllocation | None = None,
) -> AllocationInput:
    """Return the allocator's input at NOW."""
    if isinstance(observation, str):
        observation = observe_gpus(observation)
    return AllocationInput(observation, occupancy or {}, leases, NOW, reservations, allocation or GpuAllocation())


def foreign_container(
    name: str = "jupyter",
    devices: Devices | None = None,
    status: ContainerStatus = ContainerStatus.RUNNING,
    identity: str = "f" * 64,
) -> EngineContainer:
    """Return a container that is not ds01's; `devices` None: not inspected."""
    return EngineContainer(identity, name, "image", status, {}, NOW, devices=devices)
