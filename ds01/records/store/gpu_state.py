"""The content of gpu-state.json: all leases, for people and older scripts. ds01 itself never reads it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ds01.records.record import Record
from ds01.system.data import format_time


def gpu_state_allocations(records: Iterable[Record]) -> dict[str, dict[str, Any]]:
    """Return the entry of each container with a lease, by full name. Pure."""
    return {
        record.container_name: {
            "user": record.user,
            "gpu_id": record.gpu_id,
            "allocated_at": format_time(record.lease.since),
            "priority": record.resource_limits.priority,
            "stopped_at": format_time(record.stopped_at) if record.stopped_at else None,
        }
        for record in records
        if record.lease is not None
    }
