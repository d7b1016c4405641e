"""Find alternatives for a container that cannot get its slots back (Docker fixed them at create). Pure."""

from __future__ import annotations

from ds01.api.refusals import Alternatives
from ds01.gpus.model import Choice, GpuRequest, Refusal
from ds01.placement.allocation_input import AllocationInput, Requester
from ds01.placement.allocator import choose_slots
from ds01.policy.model import Limits
from ds01.records.record import Record


def find_alternatives(record: Record, situation: AllocationInput, who: Requester, limits: Limits) -> Alternatives:
    """Return whether creating the container again would help, and how many GPUs a new one could have."""
    again = choose_slots(situation, record.request.gpus, who, limits) if record.request is not None else None
    free = isinstance(again, Choice)
    return Alternatives(
        container=record.name,
        recreate=free or (isinstance(again, Refusal) and again.temporary),
        free=free,
        cpu_only=isinstance(again, Choice) and not again.slots,
        gpus=_largest_count(situation, who, limits, len(record.gpus_fixed)),
    )


def _largest_count(situation: AllocationInput, who: Requester, limits: Limits, count: int) -> int:
    """Return how many slots of any kind, at most `count`, would not be refused for good."""
    while count > 0:
        answer = choose_slots(situation, GpuRequest(count), who, limits)
        if isinstance(answer, Choice) or answer.temporary:
            return count
        count -= 1
    return 0
