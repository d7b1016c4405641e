"""Keep the names of leased slots current in the records, so that two leases never show the same name."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import datetime

from ds01.errors import Ds01Error
from ds01.gpus.model import GpuObservation
from ds01.gpus.slot_names import with_current_name
from ds01.lifecycle.context.context import Context
from ds01.records.entries import Entries, readable
from ds01.records.ledger import Transaction
from ds01.records.record import Record


def with_current_names(record: Record, gpus: GpuObservation) -> Record:
    """Return a record with the current names of its slots.

    An observation without GPUs changes nothing: a request for no GPU does not observe them.
    """
    if not gpus.gpus or (record.lease is None and not record.gpus_fixed and record.gpu_id is None):
        return record  # the fast path for most records, since each lease checks all of them
    lease = record.lease
    if lease is not None:
        lease = dataclasses.replace(lease, slots=tuple(with_current_name(ref, gpus) for ref in lease.slots))
    fixed = tuple(with_current_name(ref, gpus) for ref in record.gpus_fixed)
    names = ",".join(ref.slot for ref in lease.slots) if lease is not None else None
    return dataclasses.replace(record, lease=lease, gpus_fixed=fixed, gpu_id=names or None)


def update_names(ledger: Transaction, gpus: GpuObservation, *, now: datetime) -> None:
    """Write the current names into all records with outdated ones. Call it before a lease uses one of these names."""
    changed = list(_outdated(ledger.records, gpus))
    if changed:
        ledger.commit_slot_names(changed, now=now)


def update_names_if_possible(context: Context, gpus: GpuObservation) -> None:
    """As `update_names`, for a command that only reads: a full disk must not make it fail."""
    try:
        if any(_outdated(context.ledger.read(), gpus)):
            with context.ledger.transaction() as ledger:
                update_names(ledger, gpus, now=context.clock())
    except Ds01Error:
        return  # the next command tries again; `ds01 gpu status` takes the names from the observation


def _outdated(entries: Entries, gpus: GpuObservation) -> Iterator[Record]:
    for record in readable(entries):
        named = with_current_names(record, gpus)
        if named != record:
            yield named
