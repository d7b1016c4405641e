"""What the tick remembers from one pass to the next, beside the records: `tick-memory.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ds01.system.clock import ClockReading
from ds01.system.data import DataError, from_json, to_json

OWNER_DELETED_AFTER = timedelta(
    days=1
)  # a missing owner counts as deleted after this; until then the database may be down


@dataclass(frozen=True)
class TickMemory:
    """The clock, the last look, and what the user database answered."""

    believed: ClockReading | None = None  # the clock at the last pass that trusted it
    doubted: tuple[ClockReading, ...] = ()  # the first and the latest reading since then that disagree with it
    steady_since: datetime | None = None  # since when the believed clock has agreed with the time since boot
    proven: datetime | None = None  # the last time at which it had done so for a day
    disproved: datetime | None = None  # later times that were written down up to this one are known to be wrong
    looked: datetime | None = None  # when a pass last looked at all that runs
    unix_groups: tuple[str, ...] | None = None  # those of the policy that the user database has had
    owner_groups: Mapping[str, str] = field(default_factory=dict)  # uid in digits -> group, where that could be known
    owner_spellings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # uid in digits -> names in the policy
    missing_owners: Mapping[str, datetime] = field(default_factory=dict)  # uid in digits -> first not found

    def is_deleted(self, uid: int, now: datetime) -> bool:
        """Whether an owner who is not found has been missing for so long that the account must be gone."""
        since = self.missing_owners.get(str(uid))
        return since is not None and now - since >= OWNER_DELETED_AFTER


def parse_tick_memory(document: Any) -> TickMemory:
    """The memory as a JSON document has it; an empty one if it is of another form."""
    try:
        return from_json(TickMemory, document)
    except DataError:
        return TickMemory()


def tick_memory_document(memory: TickMemory) -> Any:
    """The memory as a JSON document."""
    return to_json(memory)
