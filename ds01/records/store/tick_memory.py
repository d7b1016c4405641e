"""What the tick remembers from one pass to the next, apart from the records: `tick-memory.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime, timedelta
from typing import Any

from ds01.dataclass import dataclass
from ds01.system.clock import ClockReading
from ds01.system.data import DataError, from_json, to_json

OWNER_DELETED_AFTER = timedelta(days=1)  # a missing owner counts as deleted; until then the database may be down


@dataclass(frozen=True)
class TickMemory:
    """The clock, the last full observation, and the answers of the user database."""

    believed: ClockReading | None = None  # the clock at the last pass that believed it
    doubted: tuple[ClockReading, ...] = ()  # the first and the latest reading since then that disagree with it
    steady_since: datetime | None = None  # since when the believed clock has agreed with the time since boot
    proven: datetime | None = None  # the latest time at which it had agreed for a day
    disproved: datetime | None = None  # stored times after `believed` and up to this one are known to be wrong
    looked: datetime | None = None  # when a pass last looked at all running containers
    unix_groups: tuple[str, ...] | None = None  # the policy's groups that the user database once had
    owner_groups: Mapping[str, str] = field(default_factory=dict)  # uid in digits -> group, where known
    owner_spellings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # uid in digits -> names in the policy
    missing_owners: Mapping[str, datetime] = field(default_factory=dict)  # uid in digits -> first not found

    def is_deleted(self, uid: int, now: datetime) -> bool:
        """Return whether an owner has been missing from the user database for so long that the account must be gone."""
        since = self.missing_owners.get(str(uid))
        return since is not None and now - since >= OWNER_DELETED_AFTER


def parse_tick_memory(document: Any) -> TickMemory:
    """Parse the memory from a JSON document; empty if it has another form."""
    try:
        return from_json(TickMemory, document)
    except DataError:
        return TickMemory()


def tick_memory_document(memory: TickMemory) -> Any:
    """Return the memory as a JSON document."""
    return to_json(memory)
