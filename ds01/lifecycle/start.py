"""Start a container. Before the engine is called, its lease is kept or taken again on the same slots."""

from __future__ import annotations

import dataclasses

from ds01.api.refusals import error_of
from ds01.dataclass import dataclass
from ds01.engines.protocol import EngineContainer
from ds01.errors import Ds01Error, InvalidState
from ds01.gpus.model import Claim, GpuObservation, GpuRequest, Lease, Refusal, Rule, SlotRef
from ds01.gpus.slot_names import describe_mismatch, display_name, display_names, is_unobserved, original_name
from ds01.lifecycle import ulimits
from ds01.lifecycle.alternatives import find_alternatives
from ds01.lifecycle.context.context import Context
from ds01.lifecycle.context.slot_names import update_names, with_current_names
from ds01.lifecycle.reconciliation.reconcile import current_slots, reconcile_one
from ds01.lifecycle.snapshot import take_snapshot
from ds01.lifecycle.spec import ports
from ds01.lifecycle.spec.image_facts import explain_missing_shell
from ds01.placement.allocation_input import Requester
from ds01.placement.allocator import choose_slots
from ds01.records.record import Origin, Pending, Record, apply_transition, with_changes
from ds01.records.request import ContainerRequest
from ds01.records.state_machine import State, Trigger
from ds01.system.users import Actor


@dataclass(frozen=True)
class Started:
    """A running container. `already`: it ran before. `container`: as inspected after the start, if it was."""

    record: Record
    already: bool
    container: EngineContainer | None = None


def start(context: Context, actor: Actor, record: Record, *, waiting_as: str | None = None) -> Started:
    """Start a container whose lock is held. Raises Ds01Error.

    `waiting_as`: the caller's id in the queue; without one, all waiters come first.
    """
    if record.state is State.RUNNING:
        return Started(resume(context, actor, record) if record.paused else record, True)
    record = _acquire_lease(context, actor, record, waiting_as)
    assert record.docker_id is not None
    try:
        context.engine.start(record.docker_id)
        container = context.engine.inspect(record.docker_id)
    except BaseException as error:
        if isinstance(error, Ds01Error):
            reconcile_one(context, record.container_name)  # if it does not run, the new lease is released
            ulimit_error = ulimits.explain_start_failure(context, record, error)
            if ulimit_error is not None:
                ulimits.release_unstarted(context, actor, record.container_name)
                raise ulimit_error from error
            if (port_error := ports.explain_taken(record, error)) is not None:
                raise port_error from error
            if (shell_error := explain_missing_shell(record.image, error)) is not None:
                raise shell_error from error
        raise
    with context.ledger.transaction() as ledger:
        engine_time = container.started_at if container else None
        now = context.clock()
        record = apply_transition(record, Trigger.START, actor=actor.login, at=now, engine_started_at=engine_time)
        record = ledger.commit(record, now=now)
    return Started(record, False, container)


def request_of(record: Record, *, recreate: bool) -> ContainerRequest:
    """Return the request of a container that waits to be started: its own slots, or with `recreate` any."""
    request = record.request or ContainerRequest(record.uid, record.name, record.image)
    if recreate and record.request is not None:
        return request
    same_slots = GpuRequest(len(record.gpus_fixed), uuids=tuple(ref.uuid for ref in record.gpus_fixed))
    return dataclasses.replace(request, gpus=same_slots)


def resume(context: Context, actor: Actor, record: Record) -> Record:
    """Unpause a container."""
    assert record.docker_id is not None
    context.engine.unpause(record.docker_id)
    return _set_paused(context, actor, record, paused=False)


def pause(context: Context, actor: Actor, record: Record) -> tuple[Record, bool]:
    """Pause a running container; lease and idle time continue. Return the record, and whether it was paused before."""
    if record.state is not State.RUNNING:
        raise InvalidState(
            f"{record.name} is not running (it is {record.state.value}); only a running container can be paused"
        )
    if record.paused:
        return record, True
    assert record.docker_id is not None
    context.engine.pause(record.docker_id)
    return _set_paused(context, actor, record, paused=True), False


def _set_paused(context: Context, actor: Actor, record: Record, *, paused: bool) -> Record:
    with context.ledger.transaction() as ledger:
        record = ledger.commit(with_changes(record, paused=paused), now=context.clock())
    facts = {"actor": actor.login, "container": record.container_name, "user": record.user, "why": None}
    context.emit("pause" if paused else "unpause", facts)
    return record


def _acquire_lease(context: Context, actor: Actor, record: Record, waiting_as: str | None) -> Record:
    """Commit the pending start, with a lease on the slots that Docker fixed for the container."""
    needed = record.gpus_fixed
    _check_devices(context, record)
    pending = Pending(Trigger.START, context.clock(), actor.login)
    if not needed:
        with context.ledger.transaction() as ledger:
            return ledger.commit(with_changes(record, pending=pending), now=context.clock())
    gpus = context.observer.gpus()
    lease = record.lease
    lost = check_lost_slots(needed, gpus)
    owner = context.users.by_uid(record.uid)
    limits = context.rules.limits(owner)
    snapshot = None
    if lease is None or lost is not None:
        snapshot = take_snapshot(context, locked=(record.container_name,), gpus=gpus, waiting_as=waiting_as)
    else:
        context.rules.prefetch(context.ledger.read())
    with context.ledger.transaction() as ledger:
        update_names(ledger, gpus, now=context.clock())
        if snapshot is not None:
            situation = snapshot.allocation_input(context, ledger.records)
            who = Requester(owner.login, owner.uid, limits.group, record.container_name)
            request = GpuRequest(len(needed), uuids=tuple(ref.uuid for ref in needed))
            choice = lost or choose_slots(situation, request, who, limits.limits)
            if isinstance(choice, Refusal):
                raise error_of(choice, find_alternatives(record, situation, who, limits.limits))
            lease = Lease(needed, context.clock())
        changed = with_current_names(with_changes(record, pending=pending, lease=lease), gpus)
        changed = dataclasses.replace(changed, resource_limits=limits.limits)
        return ledger.commit(changed, now=context.clock())


def _check_devices(context: Context, record: Record) -> None:
    """Raise InvalidState if an adopted container would get a GPU that it did not have when it was adopted."""
    if record.origin is not Origin.ADOPTED:
        return
    container = context.engine.inspect(record.docker_id or "")
    had = {ref.uuid for ref in record.gpus_fixed}
    more = [ref for ref in (current_slots(context, container) if container else ()) if ref.uuid not in had]
    if more:
        raise InvalidState(
            f"{record.name} would also get GPU {display_names(more)}",
            why="AIME's tools created it for all GPUs, or for GPUs by number, and these have changed since",
            hint=f"`container-start {record.name} --recreate` creates it again with GPUs of its own; /workspace stays",
        )


def check_lost_slots(refs: tuple[SlotRef, ...], gpus: GpuObservation) -> Refusal | None:
    """Return the refusal if a slot is gone, does not answer, or if its UUID now belongs to another slot."""
    current = {slot.uuid: slot for slot in gpus.slots}
    mismatches = {ref: describe_mismatch(ref, current.get(ref.uuid), gpus.boot) for ref in refs}
    lost = tuple(
        Claim(display_name(ref), "unhealthy", why="its GPU does not answer")
        if is_unobserved(ref, gpus)
        else Claim(original_name(ref), "lost", why=why)
        for ref, why in mismatches.items()
        if why is not None
    )
    return Refusal(Rule.LOST, temporary=False, asked=len(refs), claims=lost) if lost else None
