"""Filter and count a ledger's entries: records by full container name, readable or not. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from ds01.records.record import Origin, Record
from ds01.records.store.record_files import UnreadableRecord

Entries = Mapping[str, Record | UnreadableRecord]


def readable(entries: Entries) -> list[Record]:
    """Return the records that could be read."""
    return [entry for entry in entries.values() if isinstance(entry, Record)]


def is_manual(record: Record) -> bool:
    """Return whether the record is a manual lease, without a container."""
    return record.origin is Origin.MANUAL


def containers_of(entries: Entries, uid: int, *, but: str) -> int:
    """Return how many containers a user has, the one called `but` excluded. All that are not removed count."""
    return sum(
        record.uid == uid and record.container_name != but and not is_manual(record) for record in readable(entries)
    )


def taken_uuids(entries: Entries, *, but: str) -> set[str]:
    """Return the UUIDs of all leased slots, except those of the container called `but`."""
    return {
        ref.uuid
        for record in readable(entries)
        if record.lease is not None and record.container_name != but
        for ref in record.lease.slots
    }
