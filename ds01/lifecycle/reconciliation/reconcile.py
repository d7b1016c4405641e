"""Brings the records to what the engine says: what vanished, stopped, started or appeared behind ds01's back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from functools import partial

from ds01.api.views import Change
from ds01.engines.protocol import EngineContainer
from ds01.errors import Busy, EngineConflict, EngineNotFound, EngineRejected, EngineUnreachable, GpusUnreachable
from ds01.gpus.model import SlotRef
from ds01.lifecycle.context.context import Context
from ds01.lifecycle.context.ownership import find_unrecorded, is_created_by
from ds01.lifecycle.reconciliation import orphans
from ds01.lifecycle.reconciliation.adopted_limits import apply_limits
from ds01.lifecycle.reconciliation.conflicts import end_conflict, may_be_claimed, report_conflict
from ds01.lifecycle.reconciliation.inference import differs, ended_by_restart, infer_transitions, is_incomplete
from ds01.lifecycle.reconciliation.replacement import awaits_replacement, discard_replacement, promote, remove_unused
from ds01.placement.devices import slots_of_devices
from ds01.records.entries import is_manual, readable, taken_uuids
from ds01.records.record import Origin, Record
from ds01.records.state_machine import State, Trigger


def reconcile(
    context: Context,
    listed: list[EngineContainer],
    *,
    locked: Collection[str] = (),
    failed: Callable[[str, Exception], None] | None = None,
) -> list[Change]:
    """Bring every record to what the engine says; skip what a command is at work on, but for those `locked` by us.

    `listed` comes from `context.observer.containers`, so the engine did answer. Raises EngineUnreachable if it stops.
    A container that the engine cannot look at keeps its record as it is, and the others go on. `failed` gets what else
    goes wrong with one container; without it that is raised.

    What was lost is rebuilt first: nobody else may get a lease while it is not known what the lost records had.
    """
    changes: list[Change] = []

    def run_locked(name: str, act: Callable[[], list[Change]]) -> bool:
        """Do it, and return whether it could be done."""
        try:
            done = _with_lock(context, name, locked, act)
        except EngineUnreachable:
            raise
        except (EngineNotFound, EngineConflict):
            return False  # it is changing right now: the next look tells
        except EngineRejected as error:
            context.observer.report_uninspectable(name, error)
            if failed is not None:
                failed(name, error)
            return False
        except Exception as error:
            if failed is None:
                raise
            failed(name, error)
            return False
        changes.extend(done or ())
        return done is not None

    entries = context.ledger.read()
    orphans.rebuild_lost_records(context, listed, entries, run_locked)
    # Each look at the ledger costs a look at every file, and all this happens before every lease.
    entries = context.ledger.read() if changes else entries
    by_id = {container.id: container for container in listed}
    by_label = {}
    if any(record.docker_id is None for record in readable(entries)):
        by_label = {seen.labels.get("ds01.id"): seen for seen in listed if _may_be_in_creation(context, seen)}
    for record in readable(entries):
        found = by_id.get(record.docker_id) if record.docker_id else by_label.get(record.id)
        if not is_manual(record) and differs(record, found):
            run_locked(record.container_name, partial(reconcile_one, context, record.container_name))
    entries = context.ledger.read() if changes else entries
    for record in readable(entries):
        if record.conflict:
            run_locked(record.container_name, partial(end_conflict, context, record.container_name))
    orphans.remove_stray_replacements(context, listed, entries, run_locked)
    return changes


def preview(context: Context, listed: list[EngineContainer]) -> list[Change]:
    """What `reconcile` would do; nothing is changed. What a twin leads to is `settled`."""
    entries = context.ledger.read()
    by_id = {container.id: container for container in listed}
    changes = []
    for record in readable(entries):
        name = record.container_name
        known = by_id.get(record.docker_id or "")
        if is_manual(record) or not differs(record, known) or not context.ledger.container_lock_is_free(name):
            continue
        if awaits_replacement(record):
            changes.append(Change(name, "settled"))
            continue
        try:
            seen = _inspect(context, record)
        except (EngineConflict, EngineRejected):
            continue  # its record stays as it is
        if seen is not None and is_incomplete(record, seen):
            seen = None  # it goes, and what is left is judged
        restart = _restart_cause(context, record, seen)
        taken = taken_uuids(entries, but=name)
        inferred = infer_transitions(
            record, seen, taken=taken, hold=context.rules.hold_duration(record), now=context.clock(), restart=restart
        )
        if inferred.record != record:
            changes += [Change(name, step.trigger.value) for step in inferred.steps] or [Change(name, "settled")]
    lost = find_unrecorded(context, entries, listed)
    return changes + [Change(seen.name, "rebuilt") for seen in lost]


def reconcile_if_unlocked(context: Context, container_name: str) -> list[Change]:
    """Bring one record to what the engine says, unless a command is at work on it."""
    return _with_lock(context, container_name, (), partial(reconcile_one, context, container_name)) or []


def reconcile_one(context: Context, container_name: str) -> list[Change]:
    """Bring one record to what the engine says. The container's lock is held."""
    record = context.ledger.read().get(container_name)
    if not isinstance(record, Record) or is_manual(record):
        return []
    seen = _inspect(context, record)
    if awaits_replacement(record):
        try:
            if _finish_replacement(context, record, seen):
                return [Change(container_name, "made anew")]
        except (EngineConflict, EngineRejected):
            return []  # Docker is not done with the old one, say: the next look tells
        seen = _inspect(context, record)
    if seen is not None and is_incomplete(record, seen):
        if not remove_unused(context, seen):
            return []  # it started meanwhile, or went: the next look tells
        seen = None
    if seen is not None and _is_half_adopted(record):
        with suppress(EngineNotFound):  # it went meanwhile: the next look tells
            apply_limits(context, record, seen)
    hold = context.rules.hold_duration(record)
    restart = _restart_cause(context, record, seen)
    devices = _slots_of_new_start(context, record, seen)
    # It was started behind ds01, and would get a lease.
    wants_lease = (
        seen is not None and seen.status.has_processes and record.lease is None and record.state is not State.RUNNING
    )
    if wants_lease and record.gpus_fixed and may_be_claimed(context, record):
        return []  # who has its GPU is known once all records are rebuilt; until then it is given to nobody
    with context.ledger.transaction() as ledger:
        record_now = ledger.records.get(container_name)
        if not isinstance(record_now, Record) or record_now.id != record.id:
            return []
        taken = taken_uuids(ledger.records, but=container_name)
        inferred_from = record_now
        if devices is not None and _uuids(devices) != _uuids(record_now.gpus_fixed):
            inferred_from = dataclasses.replace(record_now, gpus_fixed=devices, lease=None)  # its lease is on others
        inferred = infer_transitions(inferred_from, seen, taken=taken, hold=hold, now=context.clock(), restart=restart)
        if inferred.record == record_now:
            return []
        after = ledger.commit(inferred.record, now=context.clock())
    _remove_image_tag(context, after)
    if after.conflict and not record.conflict:
        report_conflict(context, after)
    return [Change(container_name, step.trigger.value) for step in inferred.steps] or [
        Change(container_name, "settled")
    ]


def _finish_replacement(context: Context, record: Record, seen: EngineContainer | None) -> bool:
    """What its maker, who was killed, left: a whole one takes the place, any other goes. Whether it took the place."""
    assert record.pending is not None
    if record.pending.successor is not None and (seen is None or not seen.status.has_processes):
        with suppress(EngineNotFound):
            promote(context, record)
            return True
    discard_replacement(context, record)
    return False


def _with_lock(
    context: Context, name: str, locked: Collection[str], act: Callable[[], list[Change]]
) -> list[Change] | None:
    """What was done under the container's lock; None if a command is at work on it."""
    if name in locked:
        return act()
    try:
        with context.ledger.container_lock(name, doing="being looked at", wait=0):
            return act()
    except Busy:
        return None  # the command writes what comes of it


def _inspect(context: Context, record: Record) -> EngineContainer | None:
    if record.docker_id is not None:
        seen = context.engine.inspect(record.docker_id)
        if seen is None:
            context.observer.confirm_absence()
        return seen
    seen = context.engine.inspect(record.container_name)
    if seen is not None and _may_be_in_creation(context, seen) and seen.labels.get("ds01.id") == record.id:
        return seen
    return None


def _may_be_in_creation(context: Context, seen: EngineContainer) -> bool:
    return is_created_by(seen, context.ledger.installation, at_any_time=True)


def _is_half_adopted(record: Record) -> bool:
    """Whether an adoption has written the record, and did not come to the limits."""
    creating = record.pending is not None and record.pending.trigger is Trigger.CREATE
    return creating and record.origin is Origin.ADOPTED


def current_slots(context: Context, seen: EngineContainer) -> tuple[SlotRef, ...]:
    """The slots that a container's devices mean today: `all`, a number or an index may mean others than before.

    Raises GpusUnreachable.
    """
    return tuple(slot.ref for slot in slots_of_devices(seen.devices, context.observer.gpus())) if seen.devices else ()


def _slots_of_new_start(context: Context, record: Record, seen: EngineContainer | None) -> tuple[SlotRef, ...] | None:
    """What an adopted container got at a start that the record does not know; None if there is nothing new to know."""
    if record.origin is not Origin.ADOPTED or seen is None or not seen.status.has_processes:
        return None
    if record.state is State.RUNNING and record.engine_started_at == seen.started_at:
        return None
    with suppress(GpusUnreachable):
        return current_slots(context, seen)
    return None


def _restart_cause(context: Context, record: Record, seen: EngineContainer | None) -> str | None:
    """What ended a container that no longer runs, if that was a restart of Docker or of the server."""
    same = seen is not None and seen.status.has_processes and seen.started_at == record.engine_started_at
    if record.state is not State.RUNNING or seen is None or same:
        return None
    return ended_by_restart(record, seen, context.observer.engine_facts())


def _remove_image_tag(context: Context, record: Record) -> None:
    """The own image tag goes with its container."""
    if record.state is State.REMOVED and record.own_tag is not None:
        context.engine.untag(record.own_tag)


def _uuids(refs: Iterable[SlotRef]) -> set[str]:
    return {ref.uuid for ref in refs}
