"""Advise on the lease of one record, from the accounting and what the server has free."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from ds01.api.answers import UsageAdvice
from ds01.errors import Ds01Error
from ds01.gpus.model import SlotKind
from ds01.gpus.profiles import profile_slices
from ds01.observe.accounting.lease_use import LeaseUse, read_lease_use
from ds01.observe.advice import Offer, SlotUse, advise, is_little
from ds01.placement.allocation_input import SlotState
from ds01.records.record import Origin, Record

WHOLE_GPU_SLICES = 7
LOOKS_BACK = timedelta(days=3)  # what was before says little about now, and takes time to read


def advise_on_lease(
    record: Record, accounting: Path, now: datetime, slots: Callable[[], tuple[SlotState, ...]]
) -> UsageAdvice | None:
    """Return an advice on a record's lease. Never fails: an advice is not what the user asked for.

    `slots`: returns the slots of the server; it is called only if little is used.
    """
    if record.lease is None or record.origin is Origin.MANUAL:
        return None
    measured = read_lease_use(accounting, record.id, now - LOOKS_BACK)
    if any(ref.uuid not in measured for ref in record.lease.slots):
        return None
    uses = [_slot_use(ref.slot, measured[ref.uuid]) for ref in record.lease.slots]
    if not is_little(uses):
        return None
    present: tuple[SlotState, ...] = ()
    with suppress(Ds01Error):
        present = slots()
    by_uuid = {slot.uuid: slot for slot in present}
    sized = [
        replace(use, slices=_slices(slot)) if (slot := by_uuid.get(ref.uuid)) is not None else use
        for use, ref in zip(uses, record.lease.slots, strict=True)
    ]
    return advise(sized, _offers(present))


def _slot_use(slot: str, use: LeaseUse) -> SlotUse:
    return SlotUse(slot, None, use.samples, use.measured, use.utilisation_percent, use.peak_memory_bytes)


def _offers(slots: tuple[SlotState, ...]) -> list[Offer]:
    """Return the profiles with a free slot. A reserved one is not free, whoever it is for."""
    offers = {}
    for slot in slots:
        slices = _slices(slot)
        if slot.state == "free" and slot.profile is not None and slices is not None and slot.memory_bytes is not None:
            offers[slot.profile] = Offer(slot.profile, slices, slot.memory_bytes)
    return list(offers.values())


def _slices(slot: SlotState) -> int | None:
    if slot.kind is SlotKind.FULL:
        return WHOLE_GPU_SLICES
    return profile_slices(slot.profile) if slot.profile is not None else None
