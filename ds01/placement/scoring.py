"""Which of the free slots: quiet GPUs first, beside leases of a priority like one's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ds01.gpus.model import ActiveLease, Gpu, Slot, slot_sort_key
from ds01.policy.model import Placement


@dataclass
class _Load:
    """What a GPU bears: its leased slots, the highest priority among them, and its memory in use."""

    leases: int = 0
    highest: int | None = None
    memory_percent: int = 0

    def add_lease(self, priority: int) -> None:
        self.leases += 1
        self.highest = priority if self.highest is None else max(self.highest, priority)

    def score(self, priority: int, placement: Placement) -> int:
        """The weights are the design's: a step of priority outweighs ten leases, a lease ten percent of memory."""
        distance = 0 if self.highest is None else abs(self.highest - priority)
        sign = -1 if placement is Placement.PACK else 1
        return 100 * distance + sign * 10 * self.leases + self.memory_percent


def pick_slots(
    free: Iterable[Slot],
    count: int,
    *,
    slots: Iterable[Slot],
    gpus: Iterable[Gpu],
    holders: Mapping[str, ActiveLease],
    priority: int,
    placement: Placement,
) -> tuple[Slot, ...]:
    """The best `count` of `free`, sorted by number, chosen one by one so that each counts for the next.

    `slots` are all that exist, `holders` who holds them. A lease of two slots on one GPU counts twice.
    """
    loads = {gpu.index: _Load(memory_percent=_memory_percent(gpu)) for gpu in gpus}
    for slot in slots:
        lease = holders.get(slot.slot)
        if lease is not None:
            loads.setdefault(slot.gpu, _Load()).add_lease(lease.priority)

    remaining = list(free)
    chosen = []
    for _ in range(count):
        best = min(
            remaining,
            key=lambda slot: (
                loads.setdefault(slot.gpu, _Load()).score(priority, placement), slot_sort_key(slot.slot)
            ),
        )  # fmt: skip
        remaining.remove(best)
        loads[best.gpu].add_lease(priority)
        chosen.append(best)
    return tuple(sorted(chosen, key=lambda slot: slot_sort_key(slot.slot)))


def _memory_percent(gpu: Gpu) -> int:
    """Whole percents, so that a few megabytes of the driver's own do not decide; unknown is none."""
    if not gpu.memory_used_bytes or not gpu.memory_bytes:
        return 0
    return 100 * gpu.memory_used_bytes // gpu.memory_bytes
