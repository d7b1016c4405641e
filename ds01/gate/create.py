"""Handlers of the operations that plan and create a container."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, closing
from dataclasses import replace

from ds01.api.answers import Acted, Plan
from ds01.api.containers import CreateContainer, PlanContainer
from ds01.api.operation import Steps
from ds01.api.refusals import error_of
from ds01.api.steps import CreateStep
from ds01.errors import Ds01Error, NotFound
from ds01.gate.call import Call
from ds01.gate.queue_wait import wait
from ds01.gpus.model import Refusal
from ds01.lifecycle import create as creating
from ds01.lifecycle import start as starting
from ds01.lifecycle.create import Created
from ds01.lifecycle.limits import limits_for_engine
from ds01.lifecycle.prepare import prepare
from ds01.lifecycle.reconciliation.reconcile import reconcile_one
from ds01.lifecycle.spec.compose import limits_of
from ds01.records.record import Record
from ds01.records.request import ContainerRequest
from ds01.records.wait_queue import Waiter


def plan_container(call: Call, operation: PlanContainer) -> Plan:
    """Decide like a create, without changing anything."""
    call.about(_full_name(operation.request), operation.request.owner)
    call.records_refusals = operation.attempt
    plan = _plan(call, operation.request)
    if operation.attempt and plan.refusal is not None and not (operation.waits and plan.refusal.temporary):
        call.record_refusal(error_of(plan.refusal))
    return plan


def _plan(call: Call, request: ContainerRequest) -> Plan:
    context = call.context
    context.rules.refresh()
    prepared = prepare(context, call.actor, request, plan_only=True)
    snapshot, driver = creating.observe(context, prepared, locked=False)
    creating.check_name(prepared, snapshot, snapshot.records)
    choice = creating.decide(context, prepared, snapshot, driver, snapshot.records)
    limits, warnings = limits_for_engine(context, prepared.owner, prepared.limits)
    has_image, arguments = prepared.image is not None, limits.docker_arguments
    if isinstance(choice, Refusal):
        return Plan(prepared.limits, has_image, choice, None, (), None, arguments, warnings)
    slots = tuple(slot.ref for slot in choice.slots)
    if not has_image:
        return Plan(prepared.limits, has_image, None, choice.note, slots, None, arguments, warnings)
    ports = creating.choose_ports(context, prepared, snapshot.records)
    record = creating.new_record(context, call.actor, prepared, choice, ports)
    spec = creating.spec_of(context, prepared, record, creating.owner_groups(prepared))
    return Plan(prepared.limits, has_image, None, choice.note, slots, spec, limits_of(spec).docker_arguments, warnings)


def create_container(call: Call, operation: CreateContainer) -> Steps[CreateStep]:
    """Fetch the image if needed, wait if needed, create, and start.

    An image is fetched only if the create would not be refused. Nothing is leased meanwhile, and everything is decided
    again afterwards: the pull may take an hour.
    """
    context, request = call.context, operation.request
    call.about(_full_name(request), request.owner)
    image = context.engine.image(request.image)
    if image is None and operation.pull:
        refusal = _plan(call, request).refusal
        if refusal is not None and not (operation.wait and refusal.temporary):
            raise error_of(refusal)
        yield CreateStep("fetching")
        with closing(context.engine.pull(request.image)) as pull:
            for progress in pull:
                yield CreateStep("fetching", progress=progress)
        image = None  # looked up again by `create`
    yield CreateStep("creating")
    with ExitStack() as lock:  # of the container, once there is one
        if operation.wait:
            created = yield from _wait(call, operation, lock)
        else:
            created = lock.enter_context(creating.create(context, call.actor, request, image=image))
        record = created.record
        acted = Acted(call.view(record), warnings=created.warnings)
        started = _try_start(call, record) if operation.start else None
    # Not under the lock, which would be held for as long as the receiver takes.
    yield CreateStep("created", acted=acted, note=created.note, limits=record.resource_limits)
    if isinstance(started, Ds01Error):
        raise started
    if started is not None:
        yield CreateStep("started", acted=started)


def _wait(call: Call, operation: CreateContainer, lock: ExitStack) -> Generator[CreateStep, None, Created]:
    """Create the container as soon as its turn in the queue has come; `lock` gets the container's lock."""
    owner = call.context.users.by_uid(operation.request.owner)

    def attempt(waiter: Waiter, *, first: bool) -> Created:
        request = waiter.request
        if not first:
            # From now on it waits for a GPU, and must not end up without one because the quota became 0 meanwhile.
            request = replace(request, gpus=replace(request.gpus, count=request.gpus.count or 1))
        return lock.enter_context(creating.create(call.context, call.actor, request, waiting_as=waiter.id))

    name = _full_name(operation.request)
    with closing(wait(call.context, owner, name, operation.request, operation.longest, attempt)) as steps:
        for step in steps:
            if isinstance(step, Created):
                return step
            yield CreateStep("waiting", waiting=step)
    raise AssertionError("the wait ended without an outcome")


def _try_start(call: Call, record: Record) -> Acted | Ds01Error:
    """Start the new container. An error is returned, to be raised once the container was announced."""
    try:
        return _start(call, record)
    except Ds01Error as error:
        return error


def _start(call: Call, record: Record) -> Acted:
    """Start the new container, whose lock is held.

    It is reconciled only if its record has changed meanwhile, as by an emergency stop, which waits for no lock.
    """
    call.context.rules.refresh()
    current = call.stored_record(record.container_name)
    if current.rev != record.rev:
        call.context.observer.check_engine()
        reconcile_one(call.context, record.container_name)
        current = call.stored_record(record.container_name)
    if current.id != record.id:
        raise NotFound(f"{record.name} was removed before it could be started")
    started = starting.start(call.context, call.actor, current)
    return Acted(call.view(started.record, started.container), started.already)


def _full_name(request: ContainerRequest) -> str:
    """Return the container's full name for messages; whether it is valid is checked later."""
    return f"{request.name}._.{request.owner}"
