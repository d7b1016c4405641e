"""Create a container again from its request. The replacement is complete before the old one is removed."""

from __future__ import annotations

import dataclasses
from contextlib import suppress
from datetime import timedelta

from ds01.api.refusals import Alternatives, error_of
from ds01.errors import Ds01Error, InvalidState
from ds01.gpus.model import Choice, Lease, Refusal
from ds01.lifecycle import create
from ds01.lifecycle.alternatives import find_alternatives
from ds01.lifecycle.context.context import Context
from ds01.lifecycle.context.slot_names import update_names, with_current_names
from ds01.lifecycle.prepare import Prepared, create_workspace, prepare
from ds01.lifecycle.reconciliation import replacement
from ds01.lifecycle.reconciliation.reconcile import reconcile_one
from ds01.lifecycle.snapshot import Snapshot
from ds01.lifecycle.start import check_lost_slots, start
from ds01.lifecycle.stop import stop
from ds01.records.deadlines import hold_ends
from ds01.records.entries import Entries
from ds01.records.record import Pending, Record, apply_transition, with_changes
from ds01.records.state_machine import State, Trigger
from ds01.system.data import to_json
from ds01.system.users import Actor


def recreate(
    context: Context, actor: Actor, record: Record, *, waiting_as: str | None = None
) -> tuple[Record, tuple[str, ...]]:
    """Create a container that does not run again, on any slots, without starting it. The workspace stays.

    `waiting_as`: the caller's id in the queue; without one, all waiters come first.
    Returns the record and warnings. Raises Ds01Error, and then nothing has changed.
    """
    prepared = _prepare(context, actor, record)
    if record.state is State.RUNNING:
        raise InvalidState(f"{record.name} is running", hint=f"stop it first: `container-stop {record.name}`")
    return _replace(context, actor, record, prepared, None, None, waiting_as)


def recreate_in_place(
    context: Context, actor: Actor, record: Record, *, grace: float | None
) -> tuple[Record, tuple[str, ...]]:
    """Create a container again on the slots that it has. A running one is stopped and started. Raises Ds01Error.

    Everything that can be checked is checked before anything is stopped.
    """
    prepared = _prepare(context, actor, record)
    kept = _current_choice(context, record, prepared)
    ran = record.state is State.RUNNING
    record, warnings = _replace(context, actor, record, prepared, kept, grace)
    if ran:
        record = start(context, actor, record).record
    return record, warnings


def _replace(
    context: Context,
    actor: Actor,
    record: Record,
    prepared: Prepared,
    kept: Choice | None,
    grace: float | None,
    waiting_as: str | None = None,
) -> tuple[Record, tuple[str, ...]]:
    """Replace a container. `kept`: the slots that it keeps; None: they are chosen as for a new container."""
    snapshot, driver = create.observe(context, prepared, locked=True, waiting_as=waiting_as)
    if kept is not None:
        create.check_driver(prepared, driver, {slot.gpu for slot in kept.slots})
    _check_names(record, snapshot)
    container = context.engine.inspect(record.docker_id or "")
    with context.ledger.transaction() as ledger:
        update_names(ledger, snapshot.gpus, now=context.clock())
        record = with_current_names(record, snapshot.gpus)
        choice = create.decide(context, prepared, snapshot, driver, ledger.records) if kept is None else kept
        if isinstance(choice, Refusal):
            raise error_of(choice, _alternatives(context, record, prepared, snapshot, ledger.records))
        slots = tuple(slot.ref for slot in choice.slots)
        # Until the old container is gone, its slots stay leased: it could still be started outside ds01.
        uuids = {ref.uuid for ref in slots}
        old_slots = tuple(ref for ref in (record.lease.slots if record.lease else ()) if ref.uuid not in uuids)
        since = record.lease.since if record.lease else context.clock()
        lease = Lease(slots + old_slots, since) if slots + old_slots else None
        image_id = container.image_id if container is not None else None
        pending = Pending(Trigger.REMOVE, context.clock(), actor.login, image_id)
        old = ledger.commit(with_changes(record, lease=lease, pending=pending), now=context.clock())
        runs = record.state is State.RUNNING  # then it occupies its ports itself
        kept_ports = {port.host_port for port in record.ports if port.host_port is not None} if runs else ()
        ports = create.choose_ports(context, prepared, ledger.records, kept_ports=kept_ports)
        new = create.new_record(context, actor, prepared, choice, ports)
    try:
        return _create_and_promote(context, actor, prepared, old, new, grace)
    except BaseException:
        with suppress(Ds01Error):  # otherwise the next command undoes or finishes it
            reconcile_one(context, record.container_name)
        raise


def _alternatives(
    context: Context, record: Record, prepared: Prepared, snapshot: Snapshot, entries: Entries
) -> Alternatives:
    """Return the alternatives; creating it again is not among them, since that was refused."""
    situation = snapshot.allocation_input(context, entries)
    who = create.requester_of(prepared)
    return dataclasses.replace(find_alternatives(record, situation, who, prepared.limits.limits), recreate=False)


def _create_and_promote(
    context: Context, actor: Actor, prepared: Prepared, old: Record, new: Record, grace: float | None
) -> tuple[Record, tuple[str, ...]]:
    identity, warnings = create.create_in_engine(
        context, prepared, new, name=replacement.replacement_name(new.container_name)
    )
    if old.state is State.RUNNING:
        old, _ = stop(context, actor, old, grace=grace, hold=True, why="to be created again")
    successor = apply_transition(new, Trigger.CREATE, actor=actor.login, at=context.clock(), docker_id=identity)
    successor = _with_promises(successor, old, context.rules.hold_duration(old))
    assert old.pending is not None
    with context.ledger.transaction() as ledger:
        pending = dataclasses.replace(old.pending, successor=to_json(successor))
        old = ledger.commit(with_changes(old, pending=pending), now=context.clock())
    return replacement.promote(context, old), warnings


def _with_promises(new: Record, old: Record, hold: timedelta | None) -> Record:
    """Return the new record with the old one's promises: its hold and `keep`.

    An old container that never ran may itself be a replacement of a stopped one, and have that one's hold.
    """
    new = with_changes(new, keep=old.keep, pending=new.pending)
    if old.state in (State.HELD, State.CREATED) and new.lease is not None:
        new = with_changes(new, stopped_at=old.stopped_at, held_until=hold_ends(old, hold), pending=new.pending)
    return new


def _check_names(record: Record, snapshot: Snapshot) -> None:
    """Raise InvalidState if another container has one of the two names that are needed."""
    full = record.container_name
    for name, why in (
        (full, f"{record.name} was renamed outside ds01"),
        (
            replacement.replacement_name(full),
            "ds01 created it as the replacement, and somebody started it by hand",
        ),
    ):
        if any(container.name == name and container.id != record.docker_id for container in snapshot.containers):
            raise InvalidState(
                f"another container is called {name} in Docker",
                why=why,
                hint=f"docker rename {name} ANOTHER-NAME, or docker rm {name}, then try again",
            )


def _prepare(context: Context, actor: Actor, record: Record) -> Prepared:
    """Check the request of a container that is created again. Raises Ds01Error."""
    if record.request is None or record.docker_id is None:
        raise InvalidState(f"{record.name} cannot be created again", why="its record has no request")
    return create_workspace(context, actor, prepare(context, actor, record.request))


def _current_choice(context: Context, record: Record, prepared: Prepared) -> Choice:
    """Return a container's current slots as a choice. Raises Ds01Error if it does not have its slots any more."""
    if record.lease is None:
        if not record.gpus_fixed:
            return Choice(())
        first = f"`container-stop {record.name}`, then " if record.state is State.RUNNING else ""
        raise InvalidState(
            f"{record.name} has no GPU on which it could be created again",
            why=record.conflict or f"it is {record.state.value}",
            hint=f"{first}`container-start {record.name} --recreate` creates it again, with a free GPU",
        )
    gpus = context.observer.gpus()
    lost = check_lost_slots(record.lease.slots, gpus)
    if lost is not None:
        snapshot, _ = create.observe(context, prepared, locked=True)
        raise error_of(lost, _alternatives(context, record, prepared, snapshot, snapshot.records))
    uuids = {ref.uuid for ref in record.lease.slots}
    return Choice(tuple(slot for slot in gpus.slots if slot.uuid in uuids))
