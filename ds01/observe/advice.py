"""Advise on a lease of which little is used, from what the accounting has measured. Pure.

Advice costs trust when it is wrong: without enough measurements there is none, and a smaller slot has to be free. Means
hide bursts and samples miss peaks, so a smaller slot is only advised with room to spare.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from ds01.api.answers import UsageAdvice
from ds01.dataclass import dataclass

LEAST_SAMPLES = 10  # below that, a mean says nothing
LITTLE = 15.0  # percent of a slot: more is no reason to speak
UNUSED = 1.0  # percent: a slot that nothing used
UNUSED_MEMORY = 1 << 30  # bytes: a process that only opened the GPU takes some hundred MiB
MOST_ON_SMALLER = 50.0  # percent of a smaller slot that the same work may take on average
MEMORY_ROOM = 1.25  # a smaller slot has at least so many times the memory that was seen in use


@dataclass(frozen=True)
class SlotUse:
    """What was used of one slot since its lease began. `samples`: measurements in which its utilisation is known.

    `measured`: the time that they cover. `peak_memory_bytes` None: unknown. `slices`: compute slices; None: unknown.
    """

    slot: str
    slices: int | None
    samples: int
    measured: timedelta
    utilisation_percent: float | None
    peak_memory_bytes: int | None


@dataclass(frozen=True)
class Offer:
    """A MIG profile of which the server has a free slot for this user."""

    profile: str
    slices: int
    memory_bytes: int


def is_little(uses: Sequence[SlotUse]) -> bool:
    """Return whether enough was measured of all slots of a lease, and little of one of them is used."""
    if not uses or any(use.samples < LEAST_SAMPLES or use.utilisation_percent is None for use in uses):
        return False
    return any(_percent(use) < LITTLE for use in uses)


def advise(uses: Sequence[SlotUse], offers: Sequence[Offer]) -> UsageAdvice | None:
    """Return what would do instead of the slots of a lease; None if too little was measured, or enough is used.

    An advice without an alternative only says that little is used.
    """
    if not is_little(uses):
        return None
    used = [use for use in uses if not _is_unused(use)]
    percent = sum(map(_percent, uses)) / len(uses)
    measured = max(use.measured for use in uses)
    advice = UsageAdvice(len(uses), percent, measured)
    if not used:
        # Without a measurement of the memory, something may lie there and wait.
        return replace(advice, cpu_only=all(use.peak_memory_bytes is not None for use in uses))
    if len(used) < len(uses):
        return replace(advice, count=len(used))
    if percent >= LITTLE:
        return None
    smaller = [offer for offer in offers if all(_fits(use, offer) for use in uses)]
    # Several slots have to be of one profile, and one free slot does not say that there are more.
    if smaller and len(uses) == 1:
        best = min(smaller, key=lambda offer: (offer.slices, offer.memory_bytes))
        return replace(advice, profile=best.profile)
    return advice


def _fits(use: SlotUse, offer: Offer) -> bool:
    """Return whether a slot of the offer is smaller, and has room for what was done."""
    if use.slices is None or use.peak_memory_bytes is None or offer.slices >= use.slices:
        return False
    on_offer = _percent(use) * use.slices / offer.slices
    return on_offer <= MOST_ON_SMALLER and use.peak_memory_bytes * MEMORY_ROOM <= offer.memory_bytes


def _is_unused(use: SlotUse) -> bool:
    is_empty = use.peak_memory_bytes is None or use.peak_memory_bytes <= UNUSED_MEMORY
    return _percent(use) < UNUSED and is_empty


def _percent(use: SlotUse) -> float:
    return use.utilisation_percent if use.utilisation_percent is not None else 100.0
