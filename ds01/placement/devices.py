"""Map a container's devices to slots: UUIDs, indexes, MIG indexes and CDI names, as people and Docker write them."""

from __future__ import annotations

import re
from collections.abc import Callable

from ds01.engines.protocol import Devices
from ds01.gpus.model import GpuObservation, Slot

# NVIDIA's own words for "no device" (libnvidia-container).
_NOTHING = frozenset({"", "none", "void"})
# `0` and `0:1`; nvidia-ctk can also name them `gpu0` and `mig0:1` in CDI.
_INDEX = re.compile(r"(?:gpu|mig)?(\d+)(?::(\d+))?", re.ASCII)
# The form before driver 470: the GPU's UUID, the GPU instance, the compute instance.
_OLD_MIG = re.compile(r"mig-(gpu-[0-9a-f-]+)/(\d+)/(\d+)", re.ASCII)


def slots_of_devices(devices: Devices, observation: GpuObservation) -> tuple[Slot, ...]:
    """Return the slots that `devices` may mean: all slots for a name that cannot be mapped, as unknown use is use."""
    if devices.everything:
        return observation.slots
    slots: dict[str, Slot] = {}
    for name in devices.ids:
        slots.update((slot.slot, slot) for slot in slots_of_name(name, observation))
    return tuple(slots.values())


def slots_of_name(name: str, observation: GpuObservation) -> tuple[Slot, ...]:
    """Return the slots that one device name may mean. The name of a GPU on MIG means all its instances."""
    device = name.rpartition("=")[2].strip().casefold()
    if device in _NOTHING:
        return ()
    index = _INDEX.fullmatch(device)
    if index is not None:
        gpus = {gpu.index for gpu in observation.gpus if gpu.index == int(index[1])}
        exact_slot = f"{int(index[1])}:{int(index[2])}" if index[2] is not None else None
        return _slots_of_gpus(gpus, observation, lambda slot: slot.slot == exact_slot)
    legacy_match = _OLD_MIG.fullmatch(device)
    if legacy_match is not None:
        gpus = {gpu.index for gpu in observation.gpus if gpu.uuid.casefold() == legacy_match[1]}
        return _slots_of_gpus(
            gpus, observation, lambda slot: (slot.gi, slot.ci) == (int(legacy_match[2]), int(legacy_match[3]))
        )
    return _slots_of_uuid(device, observation)


def _slots_of_gpus(
    gpus: set[int], observation: GpuObservation, is_exact_slot: Callable[[Slot], bool]
) -> tuple[Slot, ...]:
    """Return the exact slot if it exists, else all slots of these GPUs; without GPUs, every slot."""
    if not gpus:
        return observation.slots
    gpu_slots = tuple(slot for slot in observation.slots if slot.gpu in gpus)
    return tuple(slot for slot in gpu_slots if is_exact_slot(slot)) or gpu_slots


def _slots_of_uuid(device: str, observation: GpuObservation) -> tuple[Slot, ...]:
    """Return the slots of a UUID. NVIDIA's runtime accepts a prefix too, which may match several."""
    if device.startswith("mig-"):
        return tuple(slot for slot in observation.slots if slot.uuid.casefold().startswith(device)) or observation.slots
    if device.startswith("gpu-"):
        gpus = {gpu.index for gpu in observation.gpus if gpu.uuid.casefold().startswith(device)}
        return _slots_of_gpus(gpus, observation, lambda slot: False)
    return observation.slots
