"""What slots are called: one name for one slot at a time, in every command.

NVML numbers the MIG instances of a GPU anew when one is destroyed or made, so a name can pass from one instance to
another. A lease is on a UUID; the name it keeps is the one that the UUID has today, with the name at the time of the
lease beside it. A slot that the hardware no longer has is called by its UUID. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

from ds01.gpus.model import GpuObservation, Slot, SlotRef

UNKNOWN_UUID_PREFIX = "unknown-"  # begins the UUID of a GPU or instance that does not tell its own


class NamedSlot(Protocol):
    """Anything that stands for a slot of a lease."""

    @property
    def slot(self) -> str:
        """Today's name."""

    @property
    def uuid(self) -> str:
        """What it is known by."""

    @property
    def was(self) -> str | None:
        """The name at the time of the lease, where that is another."""


def with_current_name(ref: SlotRef, observation: GpuObservation) -> SlotRef:
    """Return the slot of a lease under the name that it has in the observation.

    One whose GPU did not answer keeps its name, unless another has it: what was not seen is not gone.
    """
    first = original_name(ref)
    name = next((slot.slot for slot in observation.slots if slot.uuid == ref.uuid), None)
    if name is None and not _gpu_answered(ref, observation) and not _is_taken(ref.slot, observation):
        return ref
    name = name or ref.uuid
    was = None if name == first else first
    return ref if (name, was) == (ref.slot, ref.was) else replace(ref, slot=name, was=was)


def is_unobserved(ref: SlotRef, observation: GpuObservation) -> bool:
    """Return whether a slot was not seen because its GPU does not answer, so that it may still be there."""
    return all(slot.uuid != ref.uuid for slot in observation.slots) and not _gpu_answered(ref, observation)


def original_name(ref: NamedSlot) -> str:
    """Return the name at the time of the lease."""
    return ref.was or ref.slot


def display_name(ref: NamedSlot) -> str:
    """Return the name for people: `0:1`, or `0:1, was 0:0`; of one that the hardware lost, `gone, was 0:1`."""
    if ref.was is None:
        return ref.slot
    return f"{'gone' if ref.slot == ref.uuid else ref.slot}, was {ref.was}"


def display_names(refs: Iterable[NamedSlot]) -> str:
    """Return the names of several slots for people."""
    return ", ".join(display_name(ref) for ref in refs)


def describe_mismatch(ref: SlotRef, slot: Slot | None, boot: str | None) -> str | None:
    """Return why a slot is not the one that was leased, in words; None if it is.

    `slot` is what has its UUID today; UUIDs of MIG instances are made of their place and shape, so that one made anew
    can have the UUID of its predecessor. `boot` is the id of the kernel's present boot.
    """
    if slot is None:
        is_restarted = ref.boot is not None and boot is not None and ref.boot != boot
        return f"{ref.uuid} is gone" + (" since the server was restarted" if is_restarted else "")
    for known, now in (
        (ref.profile, slot.profile),
        (ref.gpu_uuid, slot.gpu_uuid),
        (_instance_place(ref.gi, ref.ci), _instance_place(slot.gi, slot.ci)),
    ):
        if known is not None and now is not None and known != now:
            return f"{ref.uuid} is another instance now: {now}, was {known}"
    return None


def _gpu_answered(ref: SlotRef, observation: GpuObservation) -> bool:
    """Return whether the GPU of a slot answered, so that a slot that was not seen is not there."""
    gpu = next((gpu for gpu in observation.gpus if gpu.uuid == ref.gpu_uuid), None)
    if gpu is not None:
        return gpu.unhealthy is None
    return not any(gpu.unhealthy and gpu.uuid.startswith(UNKNOWN_UUID_PREFIX) for gpu in observation.gpus)


def _is_taken(name: str, observation: GpuObservation) -> bool:
    """Return whether a slot that tells its UUID has the name; a GPU that tells none may be the one that is meant."""
    return any(slot.slot == name and not slot.uuid.startswith(UNKNOWN_UUID_PREFIX) for slot in observation.slots)


def _instance_place(gi: int | None, ci: int | None) -> str | None:
    return None if gi is None or ci is None else f"GPU instance {gi}, compute instance {ci}"
