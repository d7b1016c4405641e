"""The invariants of a harness: at any time, and after a reconcile."""

from __future__ import annotations

from itertools import pairwise

from ds01.lifecycle.context.ownership import is_ours
from ds01.records.record import Record
from ds01.records.state_machine import TRANSITIONS, State
from tests.harness import Harness

LEGAL_TRANSITIONS = {(row.trigger, row.source, row.target) for row in TRANSITIONS}


def check_record(record: Record) -> None:
    """Check a record: its history follows the table to its state, times do not go back, fields agree."""
    for step in record.history:
        assert (step.trigger, step.source, step.to) in LEGAL_TRANSITIONS, step
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


def check(harness: Harness) -> None:
    """Check what holds at any time."""
    for record in harness.records() + harness.ledger.removed():
        check_record(record)
    harness.leased()


def check_settled(harness: Harness) -> None:
    """Check what holds after a reconcile with a working engine, while no command runs."""
    check(harness)
    containers = {container.id: container for container in harness.engine.containers()}
    records = harness.records()
    for record in records:
        assert record.pending is None, record
        if record.origin.value == "manual":
            continue
        container = containers.get(record.docker_id or "")
        assert container is not None, f"{record.container_name} has no container"
        assert container.status.has_processes == (record.state is State.RUNNING), (container.status, record)
    recorded_ids = {record.docker_id for record in records}
    for container in containers.values():
        ours = container.labels.get("ds01.installation") == harness.ledger.installation and is_ours(
            harness.context, container
        )
        assert not ours or container.id in recorded_ids, f"{container.name} has no record"
        assert not container.name.endswith(".anew"), f"{container.name} was left: {container}, {records}"
