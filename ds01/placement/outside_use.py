"""Find slots that are in use without a lease: by containers of others, by processes, or by something unknown.

Whatever is unknown counts as use. ds01 only reports outside use, and never acts against it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from ds01.engines.protocol import Devices, EngineContainer
from ds01.gpus.model import Blocker, GpuObservation, GpuProcess, Slot
from ds01.placement.devices import slots_of_devices
from ds01.policy.model import OutsideUse

UUIDS_LABEL = "ds01.gpu.uuids"
AIME_LABEL = "aime.mlc.GPUS"
IGNORE_CONTAINERS = "outside.ignore_containers"
IGNORE_PROCESSES = "outside.ignore_processes"
IGNORE_MISSING_LIST = "outside.ignore_missing_process_list"
NO_PROCESS_LIST = "the driver has no process list for this GPU"

# The kernel truncates process names (TASK_COMM_LEN, 16 with the final zero).
_NAME_LENGTH = 15


def outside_use(
    observation: GpuObservation,
    containers: Sequence[EngineContainer],
    *,
    leased: Mapping[str, Collection[str]],
    outside: OutsideUse,
    claimed: Mapping[str, str] | None = None,
) -> dict[str, Blocker]:
    """Return the first use of each slot without a lease, by slot; the arguments are those of `outside_uses`."""
    uses = outside_uses(observation, containers, leased=leased, outside=outside, claimed=claimed)
    return dict(reversed(uses))


def outside_uses(
    observation: GpuObservation,
    containers: Sequence[EngineContainer],
    *,
    leased: Mapping[str, Collection[str]],
    outside: OutsideUse,
    claimed: Mapping[str, str] | None = None,
) -> list[tuple[str, Blocker]]:
    """Return all uses of slots without a lease, with the slot: first claimed UUIDs, then containers, then processes.

    `leased` maps every Docker id with a record in this installation to the UUIDs of its lease (empty without a
    lease). `claimed` maps the UUIDs in the labels of this installation's containers without a readable record to the
    container's name: they count in any state. To check a container that was started outside ds01, put the slots that
    it would get into `leased`.
    """
    uses: list[tuple[str, Blocker]] = []
    for slot in observation.slots:
        if claimed and slot.uuid in claimed:
            uses.append((slot.slot, Blocker("container", claimed[slot.uuid], detail={"label": UUIDS_LABEL})))
    for container in sorted(containers, key=lambda container: (container.name, container.id)):
        for slot in _slots_used_by(container, observation, leased, outside):
            uses.append((slot.slot, _container_blocker(container, is_ours=container.id in leased)))
    by_id = {container.id: container for container in containers}
    for slot in observation.slots:
        uses += [(slot.slot, blocker) for blocker in _process_blockers(slot, by_id, leased, outside)]
    return uses


def uuids_from_labels(labels: Mapping[str, str]) -> tuple[str, ...]:
    """Return the UUIDs in a container's label, for `claimed`."""
    return tuple(uuid for uuid in labels.get(UUIDS_LABEL, "").split(";") if uuid)


def devices_from_labels(labels: Mapping[str, str]) -> Devices:
    """Return the devices in a container's labels (ds01's or AIME's), for containers that were not inspected."""
    uuids = uuids_from_labels(labels)
    # AIME's tools separate with commas, ds01 with semicolons.
    slots = tuple(part for part in labels.get(AIME_LABEL, "").replace(",", ";").split(";") if part not in ("", "-"))
    ids = uuids or tuple(slot for slot in slots if slot != "all")
    return Devices(ids, everything=not uuids and "all" in slots, form="label" if uuids or slots else None)


def _slots_used_by(
    container: EngineContainer, observation: GpuObservation, leased: Mapping[str, Collection[str]], outside: OutsideUse
) -> Sequence[Slot]:
    if not container.status.has_processes:
        return ()
    lease = leased.get(container.id)
    if lease is not None:
        # A container of ours, started outside ds01, has devices without a lease. If not inspected, its record counts.
        devices = container.devices
        return (
            () if not devices else [slot for slot in slots_of_devices(devices, observation) if slot.uuid not in lease]
        )
    if _is_ignored(container, outside):
        return ()
    return observation.slots if container.devices is None else slots_of_devices(container.devices, observation)


def _is_ignored(container: EngineContainer, outside: OutsideUse) -> bool:
    return container.name.lstrip("/") in outside.ignore_containers


def _container_blocker(container: EngineContainer, *, is_ours: bool) -> Blocker:
    devices = container.devices
    detail = {
        "docker_id": container.id,
        "form": devices.form if devices is not None else None,
        "devices": None if devices is None else ["all"] if devices.everything else list(devices.ids),
    }
    return Blocker("container", container.name.lstrip("/"), None if is_ours else IGNORE_CONTAINERS, detail)


def _process_blockers(
    slot: Slot,
    by_id: Mapping[str, EngineContainer],
    leased: Mapping[str, Collection[str]],
    outside: OutsideUse,
) -> Iterator[Blocker]:
    """Yield a blocker for every process on the slot without a lease, unless the policy ignores it."""
    if slot.processes is None:
        if slot.lists_processes:
            yield Blocker("unknown", "NVML does not report which processes use it")
        elif not outside.ignore_missing_process_list:
            yield Blocker("unknown", NO_PROCESS_LIST, IGNORE_MISSING_LIST)
        return
    for process in sorted(slot.processes, key=lambda process: process.pid):
        lease = leased.get(process.container or "")
        if lease is not None and slot.uuid in lease:
            continue
        if _is_named_in(process, outside.ignore_processes) or _is_desktop(process, outside.ignore_graphics_below):
            continue
        container = by_id.get(process.container or "")
        if container is not None and lease is None:
            if not _is_ignored(container, outside):
                yield _container_process_blocker(process, container)
            continue
        yield _process_blocker(process, container, is_ours=lease is not None)


def _is_named_in(process: GpuProcess, names: Collection[str]) -> bool:
    return process.name is not None and any(process.name in (name, name[:_NAME_LENGTH]) for name in names)


def _is_desktop(process: GpuProcess, below: int | None) -> bool:
    """Return whether a process is graphics only and uses less than `below` bytes (None: any), like a desktop."""
    if not process.graphics_only or below is None:
        return process.graphics_only
    return process.memory_bytes is not None and process.memory_bytes < below


def _container_process_blocker(process: GpuProcess, container: EngineContainer) -> Blocker:
    """Return the blocker for a process of a foreign container: the policy key is the container's."""
    detail = {"docker_id": container.id, "pid": process.pid, "process": process.name}
    return Blocker("container", container.name.lstrip("/"), IGNORE_CONTAINERS, detail)


def _process_blocker(process: GpuProcess, container: EngineContainer | None, *, is_ours: bool) -> Blocker:
    """Return the blocker for a process of the host, of an unlisted container, or of ours without this lease."""
    detail = {
        "pid": process.pid,
        "docker_id": process.container,
        "container": container.name.lstrip("/") if container is not None else None,
    }
    can_be_ignored = process.name is not None and not is_ours
    return Blocker("process", process.name or "unknown", IGNORE_PROCESSES if can_be_ignored else None, detail)
