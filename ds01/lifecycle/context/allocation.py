"""Build the allocator's input: active leases, outside use, reservations, the queue."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from ds01.engines.protocol import EngineContainer
from ds01.errors import EngineConflict, EngineRejected
from ds01.gpus.model import ActiveLease, Blocker, GpuObservation
from ds01.gpus.slot_names import is_unobserved, original_name
from ds01.lifecycle.context.context import Context
from ds01.lifecycle.context.ownership import is_ours
from ds01.placement.allocation_input import AllocationInput
from ds01.placement.outside_use import devices_from_labels, outside_uses, uuids_from_labels
from ds01.records.deadlines import lease_ends
from ds01.records.entries import Entries, is_manual, readable
from ds01.records.ledger import UnreadableRecord
from ds01.records.record import Record
from ds01.records.state_machine import State


def active_leases(context: Context, entries: Entries, observation: GpuObservation | None = None) -> list[ActiveLease]:
    """Return the leases of all records as the allocator sees them."""
    return [_active_lease(context, record, observation) for record in readable(entries) if record.lease is not None]


def allocation_input(
    context: Context, entries: Entries, observation: GpuObservation, outside: list[EngineContainer]
) -> AllocationInput:
    """Return what a choice of slots depends on, except the queue. `outside`: from `outside_containers`."""
    records = readable(entries)
    explained = {
        record.docker_id: tuple(ref.uuid for ref in record.lease.slots) if record.lease else ()
        for record in records
        if record.docker_id
    }
    claimed = {
        uuid: container.name
        for container in outside
        if container.id not in explained and is_ours(context, container)
        for uuid in uuids_from_labels(container.labels)
    }
    # Containers started outside ds01 that run on their devices without a lease.
    started = {container.id for container in outside}
    claimed |= {
        ref.uuid: record.name
        for record in records
        if record.conflict or (record.lease is None and record.docker_id in started)
        for ref in record.gpus_fixed
    }
    if observation.simulated and not context.inject_devices:
        outside = [container for container in outside if not _has_other_gpus(container, context.ledger.installation)]
    policy = context.rules.policy
    uses = outside_uses(observation, outside, leased=explained, claimed=claimed, outside=policy.outside)
    blockers = dict(reversed(uses))  # the first use of each slot
    unknown = _unknown_leases(entries, observation, {container.name for container in outside}, blockers)
    return AllocationInput(
        observation=observation,
        occupancy=blockers | unknown,
        leases=active_leases(context, entries, observation),
        now=context.clock(),
        reservations=context.rules.reservations(),
        allocation=policy.gpu_allocation,
        uses=(*uses, *unknown.items()),
    )


def outside_containers(context: Context, entries: Entries, listed: Iterable[EngineContainer]) -> list[EngineContainer]:
    """Return the containers that no readable record explains; running ones are inspected.

    Includes, without detail, our containers that run although their record does not say so yet: a command works on
    them, or they cannot be inspected.
    """
    records = {record.docker_id: record for record in readable(entries)}
    pending = {record.id for record in readable(entries) if record.docker_id is None}
    outside = []
    for container in listed:
        record = records.get(container.id)
        if record is not None:
            if container.status.has_processes and record.state is not State.RUNNING:
                outside.append(container)
        elif container.labels.get("ds01.id") not in pending:
            detail = _inspect(context, container) if container.status.has_processes else container
            if detail is not None:
                outside.append(detail)
    return outside


def _inspect(context: Context, container: EngineContainer) -> EngineContainer | None:
    """Inspect a running container. If that fails, its devices are taken from its labels.

    It may have more devices. But if unknown devices counted as use, one broken container would take every GPU of the
    server out of service; a GPU on which it has a process is in use according to NVML anyway.
    """
    try:
        return context.engine.inspect(container.id)
    except (EngineRejected, EngineConflict) as error:
        context.observer.report_uninspectable(container, error)
        return replace(container, devices=devices_from_labels(container.labels))


def _active_lease(context: Context, record: Record, observation: GpuObservation | None) -> ActiveLease:
    assert record.lease is not None
    slots = record.lease.slots
    return ActiveLease(
        container=record.container_name,
        user=record.user,
        uid=record.uid,
        slots=tuple(ref.slot for ref in slots),
        uuids=tuple(ref.uuid for ref in slots),
        # A manual lease has a priority of its own; for a container, the owner's priority in today's policy counts.
        priority=(record.resource_limits if is_manual(record) else context.rules.limits_of(record).limits).priority,
        since=record.lease.since,
        until=lease_ends(record, *context.rules.deadline_rules(record)),
        held=record.state is State.HELD,
        manual=is_manual(record),
        original_names=tuple(original_name(ref) for ref in slots),
        unobserved=tuple(ref.uuid for ref in slots if observation and is_unobserved(ref, observation)),
    )


def _has_other_gpus(container: EngineContainer, installation: str) -> bool:
    """Return whether a container of a real Docker has other GPUs than the simulated ones.

    It has the server's real GPUs, or those of another simulation with the same names.
    """
    everything = container.devices is not None and container.devices.everything
    return everything or container.labels.get("ds01.installation", installation) != installation


def _unknown_leases(
    entries: Entries, observation: GpuObservation, labelled: Collection[str], blockers: Mapping[str, Blocker]
) -> dict[str, Blocker]:
    """Block all slots while a record cannot be read, unless the labels of its container name its slots."""
    for entry in entries.values():
        if isinstance(entry, UnreadableRecord) and not entry.corrupt and entry.container_name not in labelled:
            unknown = Blocker("unknown", f"the record of {entry.container_name} cannot be read: {entry.why}")
            return {slot.slot: unknown for slot in observation.slots if slot.slot not in blockers}
    return {}
