"""The slots of the server: lease, holder, use, processes, supply, and outside use. Pure but for process owners."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from ds01.api.seeing.server_view import ProcessView, ServerGpu, ServerSlot, SlotSupply
from ds01.api.views import ContainerView
from ds01.gpus.model import Gpu, GpuProcess, Slot, SlotKind, slot_sort_key
from ds01.observe.server.process_owners import ProcessOwner
from ds01.placement.allocation_input import AllocationInput, SlotState, slot_states
from ds01.records.record import Record
from ds01.records.state_machine import State

FindOwner = Callable[[int], ProcessOwner]


def gpu_views(gpus: Iterable[Gpu]) -> tuple[ServerGpu, ...]:
    """Return the physical GPUs."""
    return tuple(
        ServerGpu(
            index=gpu.index,
            uuid=gpu.uuid,
            model=gpu.model,
            mig=gpu.mig.value,
            unhealthy=gpu.unhealthy,
            utilisation_percent=gpu.utilisation_percent,
            memory_used_bytes=gpu.memory_used_bytes,
            memory_bytes=gpu.memory_bytes,
            temperature_celsius=gpu.temperature_celsius,
            power_watts=gpu.power_watts,
        )
        for gpu in gpus
    )


def slot_views(
    inputs: AllocationInput,
    holders: Mapping[str, ContainerView],
    activities: Mapping[str, str | None],
    names: Mapping[str, str],
    find_owner: FindOwner,
) -> tuple[ServerSlot, ...]:
    """Return a row for every slot that is offered or leased.

    `holders`: the containers' views, `activities`: active, idle or unknown, both by full name. `names`: full names by
    Docker id, for processes.
    """
    by_uuid = {slot.uuid: slot for slot in inputs.observation.slots}
    models = {gpu.index: gpu.model for gpu in inputs.observation.gpus}

    def view(row: SlotState) -> ServerSlot:
        slot = by_uuid.get(row.uuid)
        holder = holders.get(row.container or "")
        leased = row.state in ("leased", "held")
        return ServerSlot(
            slot=row.slot,
            uuid=row.uuid,
            kind=row.kind,
            profile=row.profile,
            gpu=row.gpu,
            model=models.get(row.gpu),
            state=row.state,
            why=row.why,
            lost=row.lost,
            container=row.container,
            name=holder.name if holder is not None else None,
            user=row.user,
            since=row.since,
            until=row.until,
            deadline=holder.deadline if holder is not None and leased else None,
            activity=activities.get(row.container or "") if leased else None,
            idle_since=holder.idle_since if holder is not None and leased else None,
            used_percent=None,
            utilisation_percent=inputs.observation.utilisation_of(slot) if slot is not None else None,
            memory_used_bytes=slot.memory_used_bytes if slot is not None else None,
            memory_bytes=row.memory_bytes,
            processes=_process_views(slot, names, find_owner),
            gpu_instance=slot.gi if slot is not None else None,
        )

    return tuple(view(row) for row in slot_states(inputs))


def leased_slots(
    records: Sequence[Record], holders: Mapping[str, ContainerView], activities: Mapping[str, str | None]
) -> tuple[ServerSlot, ...]:
    """Return the leased slots while the GPUs do not answer: lease and holder are known, and nothing else."""
    slots = [
        ServerSlot(
            slot=ref.slot,
            uuid=ref.uuid,
            kind=ref.kind,
            profile=ref.profile,
            gpu=slot_sort_key(ref.slot)[0],
            model=None,
            state="held" if record.state is State.HELD else "leased",
            why=None,
            lost=False,
            container=record.container_name,
            name=record.name,
            user=record.user,
            since=record.lease.since,
            until=None,
            deadline=(holder := holders[record.container_name]).deadline,
            activity=activities[record.container_name],
            idle_since=holder.idle_since,
            used_percent=None,
            utilisation_percent=None,
            memory_used_bytes=None,
            memory_bytes=None,
            processes=None,
            gpu_instance=ref.gi,
        )
        for record in records
        if record.lease is not None
        for ref in record.lease.slots
    ]
    return tuple(sorted(slots, key=lambda slot: (slot_sort_key(slot.slot), slot.uuid)))


def _process_views(
    slot: Slot | None, names: Mapping[str, str], find_owner: FindOwner
) -> tuple[ProcessView, ...] | None:
    if slot is None or slot.processes is None:
        return None
    return tuple(_process_view(process, names, find_owner) for process in slot.processes)


def _process_view(process: GpuProcess, names: Mapping[str, str], find_owner: FindOwner) -> ProcessView:
    container = names.get(process.container or "")
    return ProcessView(process.pid, find_owner(process.pid).user, process.name, process.memory_bytes, container)


def supply(slots: Sequence[ServerSlot]) -> tuple[SlotSupply, ...]:
    """Return how many slots of each kind are free, and when the next one comes free if none is."""
    groups: dict[tuple[SlotKind, str | None, str | None], list[ServerSlot]] = {}
    for slot in slots:
        if not slot.lost:
            # MIG instances of one profile are alike; whole GPUs differ by model.
            model = None if slot.kind is SlotKind.MIG else slot.model
            groups.setdefault((slot.kind, slot.profile, model), []).append(slot)
    return tuple(
        SlotSupply(
            kind,
            profile,
            model,
            total=len(members),
            free=(free := sum(member.state == "free" for member in members)),
            earliest=None if free else min((until for member in members if (until := member.until)), default=None),
        )
        for (kind, profile, model), members in groups.items()
    )
