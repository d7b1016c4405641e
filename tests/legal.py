"""What holds of a bed at any time, and after a reconcile."""

from __future__ import annotations

from itertools import pairwise

from ds01.lifecycle.context.ownership import is_ours
from ds01.records.machine import TABLE, State
from ds01.records.record import Record
from tests.bed import Bed

LEGAL = {(row.trigger, row.source, row.target) for row in TABLE}


def check_record(record: Record) -> None:
    """Its history is a walk through the table that ends where it is, its times do not go back, its fields agree."""
    for step in record.history:
        assert (step.trigger, step.source, step.to) in LEGAL, step
    for before, after in pairwise(record.history):
        assert before.to is after.source, record.history
        assert before.at <= after.at, record.history
    if record.history:
        assert record.history[-1].to is record.state
        assert record.history[0].at >= record.created_at
    assert record.gpu_id == (",".join(record.slots) or None)
    if record.state in (State.STOPPED, State.REMOVED) and record.pending is None:
        assert record.lease is None
    if record.state is State.HELD:
        assert record.lease is not None
        assert record.stopped_at is not None
    if record.state is State.RUNNING:
        assert record.started_at is not None
        assert record.stopped_at is None
    if record.lease is not None and record.pending is None:
        assert record.lease.slots == record.gpus_fixed


def check(bed: Bed) -> None:
    """What holds at any time."""
    for record in bed.records() + bed.ledger.removed():
        check_record(record)
    bed.leased()


def check_settled(bed: Bed) -> None:
    """What holds after a reconcile with an engine that answers, while no command is at work."""
    check(bed)
    there = {seen.id: seen for seen in bed.engine.containers()}
    records = bed.records()
    for record in records:
        assert record.pending is None, record
        if record.origin.value == "manual":
            continue
        seen = there.get(record.docker_id or "")
        assert seen is not None, f"{record.container_name} has no container"
        assert seen.status.has_processes == (record.state is State.RUNNING), (seen.status, record)
    known = {record.docker_id for record in records}
    for seen in there.values():
        ours = seen.labels.get("ds01.installation") == bed.ledger.installation and is_ours(bed.context, seen)
        assert not ours or seen.id in known, f"{seen.name} has no record"
        assert not seen.name.endswith(".anew"), f"{seen.name} was left: {seen}, {records}"
