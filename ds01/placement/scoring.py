"""Pick among free slots: quiet GPUs first, next to leases of a similar priority."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ds01.dataclass import dataclass
from ds01.gpus.model import ActiveLease, Gpu, Slot, slot_sort_key
from ds01.policy.model import Placement


@dataclass
class _Load:
    """The load of a GPU: leased slots, the highest priority among them, and memory in use."""

    leases: int = 0
    highest: int | None = None
    memory_percent: int = 0

    def add_lease(self, priority: int) -> None:
        self.leases += 1
        self.highest = priority if self.highest is None else max(self.highest, priority)

    def score(self, priority: int, placement: Placement) -> int:
        """Return the score (lower is better): a priority step weighs as ten leases, a lease as 10 % of memory."""
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
    """Return the best `count` of `free`, sorted by number. Each slot chosen adds to the load for the next choice.

    `slots` are all that exist, `holders` the leases on them. A lease of two slots on one GPU counts twice.
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
    """Return whole percents, so that a few MB used by the driver do not decide; 0 if unknown."""
    if not gpu.memory_used_bytes or not gpu.memory_bytes:
        return 0
    return 100 * gpu.memory_used_bytes // gpu.memory_bytes
