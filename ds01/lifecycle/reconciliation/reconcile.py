"""Bring the records up to date with the engine: what vanished, stopped, started or appeared outside ds01."""

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
    """Bring every record up to date with the engine. Containers whose locks others hold are skipped.

    `listed`: from `context.observer.containers`, so the engine did answer. `locked`: containers whose locks the caller
    holds. If the engine cannot inspect a container, its record stays as it is, and the others continue. `failed` gets
    any other error of one container; without it, the error is raised. Raises EngineUnreachable.

    Lost records are rebuilt first: until it is known which slots they had, nobody else may get a lease.
    """
    changes: list[Change] = []

    def run_locked(name: str, act: Callable[[], list[Change]]) -> bool:
        """Run a repair under the container's lock; return whether it could be done."""
        try:
            done = _with_lock(context, name, locked, act)
        except EngineUnreachable:
            raise
        except (EngineNotFound, EngineConflict):
            return False  # it is changing right now; the next reconcile handles it
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
    # Reading the ledger costs a `stat` of every file, and all this happens before every lease.
    entries = context.ledger.read() if changes else entries
    by_id = {container.id: container for container in listed}
    by_label = {}
    if any(record.docker_id is None for record in readable(entries)):
        by_label = {
            container.labels.get("ds01.id"): container
            for container in listed
            if _may_be_in_creation(context, container)
        }
    for record in readable(entries):
        container = by_id.get(record.docker_id) if record.docker_id else by_label.get(record.id)
        if not is_manual(record) and differs(record, container):
            run_locked(record.container_name, partial(reconcile_one, context, record.container_name))
    entries = context.ledger.read() if changes else entries
    for record in readable(entries):
        if record.conflict:
            run_locked(record.container_name, partial(end_conflict, context, record.container_name))
    orphans.remove_stray_replacements(context, listed, entries, run_locked)
    return changes


def preview(context: Context, listed: list[EngineContainer]) -> list[Change]:
    """Return what `reconcile` would do, without changing anything. An unfinished replacement is shown as `settled`."""
    entries = context.ledger.read()
    by_id = {container.id: container for container in listed}
    changes = []
    for record in readable(entries):
        name = record.container_name
        entry = by_id.get(record.docker_id or "")
        if is_manual(record) or not differs(record, entry) or not context.ledger.container_lock_is_free(name):
            continue
        if awaits_replacement(record):
            changes.append(Change(name, "settled"))
            continue
        try:
            container = _inspect(context, record)
        except (EngineConflict, EngineRejected):
            continue  # its record stays as it is
        if container is not None and is_incomplete(record, container):
            container = None  # it would be removed
        restart = _restart_cause(context, record, container)
        taken = taken_uuids(entries, but=name)
        inferred = infer_transitions(
            record,
            container,
            taken=taken,
            hold=context.rules.hold_duration(record),
            now=context.clock(),
            restart=restart,
        )
        if inferred.record != record:
            changes += [Change(name, step.trigger.value) for step in inferred.steps] or [Change(name, "settled")]
    lost = find_unrecorded(context, entries, listed)
    return changes + [Change(container.name, "rebuilt") for container in lost]


def reconcile_if_unlocked(context: Context, container_name: str) -> list[Change]:
    """Bring one record up to date with the engine, unless a command works on the container."""
    return _with_lock(context, container_name, (), partial(reconcile_one, context, container_name)) or []


def reconcile_one(context: Context, container_name: str) -> list[Change]:
    """Bring one record up to date with the engine. The container's lock is held."""
    record = context.ledger.read().get(container_name)
    if not isinstance(record, Record) or is_manual(record):
        return []
    container = _inspect(context, record)
    if awaits_replacement(record):
        try:
            if _finish_replacement(context, record, container):
                return [Change(container_name, "created again")]
        except (EngineConflict, EngineRejected):
            return []  # for example, Docker is still removing the old container; the next reconcile handles it
        container = _inspect(context, record)
    if container is not None and is_incomplete(record, container):
        if not remove_unused(context, container):
            return []  # it started or vanished meanwhile; the next reconcile handles it
        container = None
    if container is not None and _is_half_adopted(record):
        with suppress(EngineNotFound):  # it vanished meanwhile; the next reconcile handles it
            apply_limits(context, record, container)
    hold = context.rules.hold_duration(record)
    restart = _restart_cause(context, record, container)
    devices = _slots_of_new_start(context, record, container)
    # It was started outside ds01, and would get a lease.
    wants_lease = (
        container is not None
        and container.status.has_processes
        and record.lease is None
        and record.state is not State.RUNNING
    )
    if wants_lease and record.gpus_fixed and may_be_claimed(context, record):
        return []  # the holder of its GPU is known once all records are rebuilt; until then nobody gets it
    with context.ledger.transaction() as ledger:
        record_now = ledger.records.get(container_name)
        if not isinstance(record_now, Record) or record_now.id != record.id:
            return []
        taken = taken_uuids(ledger.records, but=container_name)
        inferred_from = record_now
        if devices is not None and _uuids(devices) != _uuids(record_now.gpus_fixed):
            inferred_from = dataclasses.replace(
                record_now, gpus_fixed=devices, lease=None
            )  # its lease is on other slots
        inferred = infer_transitions(
            inferred_from, container, taken=taken, hold=hold, now=context.clock(), restart=restart
        )
        if inferred.record == record_now:
            return []
        after = ledger.commit(inferred.record, now=context.clock())
    _remove_image_tag(context, after)
    if after.conflict and not record.conflict:
        report_conflict(context, after)
    return [Change(container_name, step.trigger.value) for step in inferred.steps] or [
        Change(container_name, "settled")
    ]


def _finish_replacement(context: Context, record: Record, container: EngineContainer | None) -> bool:
    """Finish an interrupted replacement: promote a complete one, discard any other. Return whether it was promoted."""
    assert record.pending is not None
    if record.pending.successor is not None and (container is None or not container.status.has_processes):
        with suppress(EngineNotFound):
            promote(context, record)
            return True
    discard_replacement(context, record)
    return False


def _with_lock(
    context: Context, name: str, locked: Collection[str], act: Callable[[], list[Change]]
) -> list[Change] | None:
    """Run `act` under the container's lock and return its changes; None if a command works on the container."""
    if name in locked:
        return act()
    try:
        with context.ledger.container_lock(name, doing="being reconciled", wait=0):
            return act()
    except Busy:
        return None  # the command will write the outcome


def _inspect(context: Context, record: Record) -> EngineContainer | None:
    if record.docker_id is not None:
        container = context.engine.inspect(record.docker_id)
        if container is None:
            context.observer.confirm_absence()
        return container
    container = context.engine.inspect(record.container_name)
    if (
        container is not None
        and _may_be_in_creation(context, container)
        and container.labels.get("ds01.id") == record.id
    ):
        return container
    return None


def _may_be_in_creation(context: Context, container: EngineContainer) -> bool:
    return is_created_by(container, context.ledger.installation, at_any_time=True)


def _is_half_adopted(record: Record) -> bool:
    """Return whether an adoption was interrupted after writing the record, before setting the limits."""
    creating = record.pending is not None and record.pending.trigger is Trigger.CREATE
    return creating and record.origin is Origin.ADOPTED


def current_slots(context: Context, container: EngineContainer) -> tuple[SlotRef, ...]:
    """Return the slots that a container's devices mean now: `all`, a number or an index may mean others than before.

    Raises GpusUnreachable.
    """
    return (
        tuple(slot.ref for slot in slots_of_devices(container.devices, context.observer.gpus()))
        if container.devices
        else ()
    )


def _slots_of_new_start(
    context: Context, record: Record, container: EngineContainer | None
) -> tuple[SlotRef, ...] | None:
    """Return the slots that an adopted container got at a start outside ds01; None without such a start, or unknown."""
    if record.origin is not Origin.ADOPTED or container is None or not container.status.has_processes:
        return None
    if record.state is State.RUNNING and record.engine_started_at == container.started_at:
        return None
    with suppress(GpusUnreachable):
        return current_slots(context, container)
    return None


def _restart_cause(context: Context, record: Record, container: EngineContainer | None) -> str | None:
    """Return which restart, of Docker or of the server, ended a container; None if neither."""
    same = container is not None and container.status.has_processes and container.started_at == record.engine_started_at
    if record.state is not State.RUNNING or container is None or same:
        return None
    return ended_by_restart(record, container, context.observer.engine_facts())


def _remove_image_tag(context: Context, record: Record) -> None:
    """Remove a removed container's own image tag."""
    if record.state is State.REMOVED and record.own_tag is not None:
        context.engine.untag(record.own_tag)


def _uuids(refs: Iterable[SlotRef]) -> set[str]:
    return {ref.uuid for ref in refs}
