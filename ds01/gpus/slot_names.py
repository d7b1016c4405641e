"""Names of slots: the same slot has the same name in every command. Pure.

NVML renumbers the MIG instances of a GPU when one is destroyed or created, so a name can pass from one instance to
another. A lease is on a UUID; it is shown under the name that the UUID has today, with the name at the time of the
lease beside it if that differs. A slot that the hardware no longer has is called by its UUID.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

from ds01.gpus.model import GpuObservation, Slot, SlotRef

UNKNOWN_UUID_PREFIX = "unknown-"  # prefix of a made-up UUID, for a GPU or instance that does not answer


class NamedSlot(Protocol):
    """Any object that refers to a leased slot."""

    @property
    def slot(self) -> str:
        """The current name."""

    @property
    def uuid(self) -> str:
        """The UUID, which identifies the slot."""

    @property
    def was(self) -> str | None:
        """The name at the time of the lease, if different."""


def with_current_name(ref: SlotRef, observation: GpuObservation) -> SlotRef:
    """Return the leased slot under its name in the observation.

    A slot whose GPU did not answer is not gone: it keeps its name, unless another slot has it now.
    """
    first = original_name(ref)
    name = next((slot.slot for slot in observation.slots if slot.uuid == ref.uuid), None)
    if name is None and not _gpu_answered(ref, observation) and not _is_taken(ref.slot, observation):
        return ref
    name = name or ref.uuid
    was = None if name == first else first
    return ref if (name, was) == (ref.slot, ref.was) else replace(ref, slot=name, was=was)


def is_unobserved(ref: SlotRef, observation: GpuObservation) -> bool:
    """Return whether a slot is missing only because its GPU does not answer, so that it may still exist."""
    return all(slot.uuid != ref.uuid for slot in observation.slots) and not _gpu_answered(ref, observation)


def original_name(ref: NamedSlot) -> str:
    """Return the name at the time of the lease."""
    return ref.was or ref.slot


def display_name(ref: NamedSlot) -> str:
    """Return the name to show: `0:1`, or `0:1, was 0:0`; for a lost slot `gone, was 0:1`."""
    if ref.was is None:
        return ref.slot
    return f"{'gone' if ref.slot == ref.uuid else ref.slot}, was {ref.was}"


def display_names(refs: Iterable[NamedSlot]) -> str:
    """Return the names of several slots, to show."""
    return ", ".join(display_name(ref) for ref in refs)


def describe_mismatch(ref: SlotRef, slot: Slot | None, boot: str | None) -> str | None:
    """Return in words why `slot` is not the slot that was leased; None if it is.

    `slot` has the leased UUID today. The UUID of a MIG instance derives from its place and shape, so an instance that
    is created again can have the UUID of its predecessor. `boot` is the id of the kernel's current boot.
    """
    if slot is None:
        is_restarted = ref.boot is not None and boot is not None and ref.boot != boot
        return f"{ref.uuid} is gone" + (" since the server was restarted" if is_restarted else "")
    for recorded, now in (
        (ref.profile, slot.profile),
        (ref.gpu_uuid, slot.gpu_uuid),
        (_instance_place(ref.gi, ref.ci), _instance_place(slot.gi, slot.ci)),
    ):
        if recorded is not None and now is not None and recorded != now:
            return f"{ref.uuid} is another instance now: {now}, was {recorded}"
    return None


def _gpu_answered(ref: SlotRef, observation: GpuObservation) -> bool:
    """Return whether the slot's GPU answered. If it did, a slot that is missing is gone."""
    gpu = next((gpu for gpu in observation.gpus if gpu.uuid == ref.gpu_uuid), None)
    if gpu is not None:
        return gpu.unhealthy is None
    return not any(gpu.unhealthy and gpu.uuid.startswith(UNKNOWN_UUID_PREFIX) for gpu in observation.gpus)


def _is_taken(name: str, observation: GpuObservation) -> bool:
    """Return whether a slot with a known UUID has the name; one without may be the leased slot itself."""
    return any(slot.slot == name and not slot.uuid.startswith(UNKNOWN_UUID_PREFIX) for slot in observation.slots)


def _instance_place(gi: int | None, ci: int | None) -> str | None:
    return None if gi is None or ci is None else f"GPU instance {gi}, compute instance {ci}"
