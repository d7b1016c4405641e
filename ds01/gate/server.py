"""Handlers of the operations on GPUs, the queue, limits, and the whole server."""

from __future__ import annotations

from ds01.api.answers import Acted, GpuStatus, LimitsView, QueueRow, Stopped
from ds01.api.server import (
    AllocateGpus,
    CancelWait,
    EmergencyStop,
    GetGpuModels,
    GetGpuStatus,
    GetLimits,
    ListQueue,
    Reconcile,
)
from ds01.api.views import Change
from ds01.errors import Ds01Error, GpusUnreachable, UsageError
from ds01.gate.call import Call
from ds01.lifecycle.context.allocation import allocation_input
from ds01.lifecycle.context.slot_names import update_names_if_possible
from ds01.lifecycle.context.wait_queue import waiters
from ds01.lifecycle.limits import limits_for_engine
from ds01.lifecycle.reconciliation.reconcile import reconcile as reconcile_all
from ds01.lifecycle.reconciliation.unsaved import collect_unsaved, with_unsaved
from ds01.lifecycle.snapshot import take_snapshot
from ds01.placement.allocation_input import Requester, is_reserved_for, slot_states
from ds01.policy.model import Limits
from ds01.policy.names import container_name
from ds01.records.record import Record


def get_gpu_status(call: Call, operation: GetGpuStatus) -> GpuStatus:
    """Return all slots and their holders."""
    context = call.context
    unsaved: list[Record] = []
    snapshot = take_snapshot(context, failed=collect_unsaved(unsaved))
    gpus = snapshot.gpus
    update_names_if_possible(context, gpus)
    entries = with_unsaved(context.ledger.read(), unsaved)
    rows = slot_states(allocation_input(context, entries, gpus, snapshot.outside))
    return GpuStatus(rows, gpus.gpus, gpus.driver, gpus.simulated, context.rules.open_reservations())


def get_gpu_models(call: Call, operation: GetGpuModels) -> tuple[str, ...]:
    """Return the models of the GPUs."""
    try:
        return tuple(gpu.model for gpu in call.context.observer.gpus().gpus)
    except GpusUnreachable:
        return ()


def get_limits(call: Call, operation: GetLimits) -> LimitsView:
    """Return a user's limits, as in the policy and as flags for Docker."""
    context = call.context
    account = context.users.by_uid(call.actor.uid if operation.owner is None else operation.owner)
    resolved = context.rules.limits(account)
    who = Requester(account.login, account.uid, resolved.group, None)
    reserved = tuple(item for item in context.rules.open_reservations() if is_reserved_for(item, who))
    limits, warnings = limits_for_engine(context, account, resolved)
    return LimitsView(resolved, limits.docker_arguments, warnings, reserved)


def list_queue(call: Call, operation: ListQueue) -> tuple[QueueRow, ...]:
    """Return the queue in order; what others ask for besides GPUs is not shown to users."""
    from dataclasses import replace

    from ds01.observe.queue import list_waiting

    rows = list_waiting(call.context)
    own = {waiter.id for waiter in waiters(call.context) if call.may(waiter.uid)}
    return tuple(row if row.id in own else replace(row, request=None) for row in rows)


def cancel_wait(call: Call, operation: CancelWait) -> None:
    """Remove a waiter from the queue, if the actor may."""
    for waiter in waiters(call.context):
        if waiter.id == operation.identity and call.actor.uid != waiter.by:
            call.check_owner(waiter.uid)
    call.context.ledger.wait_queue().cancel(operation.identity)


def allocate_gpus(call: Call, operation: AllocateGpus) -> Acted:
    """Create a manual lease."""
    from ds01.lifecycle import manual_lease

    context, name = call.context, operation.name
    context.rules.refresh()
    account = context.users.by_uid(operation.owner)
    try:
        full = container_name(name, operation.owner)
    except ValueError as error:
        raise UsageError(f"invalid container name {name!r}", why=str(error)) from None
    call.about(full, operation.owner)
    limits = context.rules.limits(account).limits
    if operation.priority is not None:
        limits = Limits(**vars(limits) | {"priority": operation.priority})
    with context.ledger.container_lock(full, doing=f"being allocated by {call.actor.login}"):
        return Acted(call.view(manual_lease.allocate(context, call.actor, account, name, operation.request, limits)))


def reconcile(call: Call, operation: Reconcile) -> tuple[Change, ...]:
    """Update all records."""
    return tuple(reconcile_all(call.context, call.context.observer.containers()))


def emergency_stop(call: Call, operation: EmergencyStop) -> Stopped:
    """Stop containers at once, and notify their owners."""
    from dataclasses import replace

    from ds01.gate.notify import notify_owner
    from ds01.lifecycle import emergency

    context = call.context
    if operation.dry_run:
        return Stopped(tuple(container.name for container in emergency.list_running(context, operation.owner)))
    stopped = emergency.stop_at_once(context, call.actor, operation.owner)
    warnings: tuple[str, ...] = ()
    for container in stopped.containers:
        try:
            record = context.ledger.read().get(container)
            warnings += notify_owner(call, record, "stopped at once") if isinstance(record, Record) else ()
        except Ds01Error as error:
            warnings += (f"the owner of {container} could not be notified: {error.message}",)
    return replace(stopped, warnings=warnings)
