"""Which slots a container's devices mean: UUIDs, indexes, MIG indexes, CDI names, as people and Docker write them."""

from __future__ import annotations

import re
from collections.abc import Callable

from ds01.engines.protocol import Devices
from ds01.gpus.model import Observation, Slot

# NVIDIA's own words for "no device" (libnvidia-container).
_NOTHING = frozenset({"", "none", "void"})
# `0` and `0:1`; nvidia-ctk can also name them `gpu0` and `mig0:1` in CDI.
_INDEX = re.compile(r"(?:gpu|mig)?(\d+)(?::(\d+))?", re.ASCII)
# The form before driver 470: the GPU's UUID, the GPU instance, the compute instance.
_OLD_MIG = re.compile(r"mig-(gpu-[0-9a-f-]+)/(\d+)/(\d+)", re.ASCII)


def slots_of(devices: Devices, observation: Observation) -> tuple[Slot, ...]:
    """The slots that `devices` may mean. What cannot be mapped may mean every slot: unknown use is use."""
    if devices.everything:
        return observation.slots
    meant: dict[str, Slot] = {}
    for name in devices.ids:
        meant.update((slot.slot, slot) for slot in slots_named(name, observation))
    return tuple(meant.values())


def slots_named(name: str, observation: Observation) -> tuple[Slot, ...]:
    """The slots that one device name may mean. The name of a GPU on MIG means all its instances."""
    word = name.rpartition("=")[2].strip().casefold()
    if word in _NOTHING:
        return ()
    index = _INDEX.fullmatch(word)
    if index is not None:
        gpus = {gpu.index for gpu in observation.gpus if gpu.index == int(index[1])}
        exact = f"{int(index[1])}:{int(index[2])}" if index[2] is not None else None
        return _of_gpus(gpus, observation, lambda slot: slot.slot == exact)
    old = _OLD_MIG.fullmatch(word)
    if old is not None:
        gpus = {gpu.index for gpu in observation.gpus if gpu.uuid.casefold() == old[1]}
        return _of_gpus(gpus, observation, lambda slot: (slot.gi, slot.ci) == (int(old[2]), int(old[3])))
    return _by_uuid(word, observation)


def _of_gpus(gpus: set[int], observation: Observation, exactly: Callable[[Slot], bool]) -> tuple[Slot, ...]:
    """The slots of these GPUs, only the exact one if there is one; a GPU that is not there may be any."""
    if not gpus:
        return observation.slots
    there = tuple(slot for slot in observation.slots if slot.gpu in gpus)
    return tuple(slot for slot in there if exactly(slot)) or there


def _by_uuid(word: str, observation: Observation) -> tuple[Slot, ...]:
    """By UUID; NVIDIA's runtime takes the beginning of one too, which may then mean several."""
    if word.startswith("mig-"):
        return tuple(slot for slot in observation.slots if slot.uuid.casefold().startswith(word)) or observation.slots
    if word.startswith("gpu-"):
        gpus = {gpu.index for gpu in observation.gpus if gpu.uuid.casefold().startswith(word)}
        return _of_gpus(gpus, observation, lambda slot: False)
    return observation.slots
