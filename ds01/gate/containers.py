"""Handlers of the operations that change a container."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing, suppress
from typing import TypeVar

from ds01.api.answers import Acted
from ds01.api.containers import (
    AdoptContainer,
    ExtendContainer,
    MarkContainer,
    PauseContainer,
    RecreateContainer,
    ReleaseLease,
    RemoveContainer,
    StartContainer,
    StopContainer,
    UnpauseContainer,
)
from ds01.api.operation import Steps
from ds01.api.steps import Ending, Saving, StartStep
from ds01.api.views import ContainerView
from ds01.errors import Ds01Error, InvalidState, NotFound, UsageError
from ds01.gate import images
from ds01.gate.call import Call, manual_lease_error
from ds01.gate.notify import notify_owner
from ds01.gate.queue_wait import wait
from ds01.lifecycle import adopt as adopting
from ds01.lifecycle import extend as extending
from ds01.lifecycle import manual_lease
from ds01.lifecycle import recreate as recreating
from ds01.lifecycle import start as starting
from ds01.lifecycle import stop as stopping
from ds01.lifecycle.spec.aime import owner_of
from ds01.records.entries import is_manual
from ds01.records.record import Record
from ds01.records.state_machine import State, Trigger
from ds01.records.wait_queue import Waiter

T = TypeVar("T")


def adopt_container(call: Call, operation: AdoptContainer) -> Acted:
    """Adopt a container of AIME's tools."""
    context = call.context
    container = adopting.find_listed(context, operation.container)
    record = adopting.record_of(context.ledger.read(), container)
    if not call.may(owner_of(container, context.users) if record is None else record.uid):
        raise NotFound(f"you have no container {container.name}", hint="`container-list` shows yours")
    with context.ledger.container_lock(container.name, doing=f"being adopted by {call.actor.login}"):
        call.about(container.name, None if record is None else record.uid)
        context.rules.refresh()
        record, already, warnings = adopting.adopt(context, call.actor, container, ending=operation.ending)
    return Acted(call.view(record), already, warnings)


def start_container(call: Call, operation: StartContainer) -> Steps[StartStep]:
    """Start a container. If the operation waits, it starts when its turn in the queue has come."""
    container, recreate = operation.container, operation.recreate
    if not operation.wait:
        with call.locked(container, "started") as record:
            acted = _start(call, record, recreate=recreate)
        yield StartStep(acted=acted)
        return
    record = call.record(container)
    call.about(record.container_name, record.uid)
    if is_manual(record):
        raise manual_lease_error(record)

    def attempt(waiter: Waiter, *, first: bool) -> Acted:
        with call.locked(container, "started") as current:
            return _start(call, current, recreate=recreate, waiting_as=waiter.id)

    owner = call.context.users.by_uid(record.uid)
    request = starting.request_of(record, recreate=recreate)
    with closing(wait(call.context, owner, record.container_name, request, operation.longest, attempt)) as steps:
        for step in steps:
            yield StartStep(acted=step) if isinstance(step, Acted) else StartStep(waiting=step)


def _start(call: Call, record: Record, *, recreate: bool, waiting_as: str | None = None) -> Acted:
    warnings: tuple[str, ...] = ()
    if recreate:
        record, warnings = recreating.recreate(call.context, call.actor, record, waiting_as=waiting_as)
    started = starting.start(call.context, call.actor, record, waiting_as=waiting_as)
    if started.container is None:
        return Acted(view_of_running(call, started.record), started.already, warnings)
    return Acted(call.view(started.record, started.container), started.already, warnings)


def recreate_container(call: Call, operation: RecreateContainer) -> Acted:
    """Create a container again on the slots that it has."""
    with call.locked(operation.container, "created again") as record:
        record, warnings = recreating.recreate_in_place(call.context, call.actor, record, grace=operation.grace)
        return Acted(view_of_running(call, record), warnings=warnings)


def stop_container(call: Call, operation: StopContainer) -> Steps[Ending]:
    """Stop a container, and notify its owner if somebody else did it."""
    grace, release, keep = operation.grace, operation.release, operation.keep
    with call.locked(operation.container, "stopped") as record:
        steps = stopping.stop_steps(call.context, call.actor, record, grace=grace, release=release, keep=keep)
        record, already = yield from _savings(steps)
        view = call.view(record)
    warnings = () if already else notify_owner(call, record, "stopped")
    yield Ending(acted=Acted(view, already, warnings))


def remove_container(call: Call, operation: RemoveContainer) -> Steps[Ending]:
    """Remove a container, with `force` after stopping it, and notify its owner if somebody else did it."""
    context = call.context
    with call.locked(operation.container, "removed", broken_too=True) as record:
        stopping.check_running(record, force=operation.force)
        if record.state is State.RUNNING:
            steps = stopping.stop_steps(context, call.actor, record, grace=operation.grace, release=True)
            record, _ = yield from _savings(steps)
        record = stopping.remove(context, call.actor, record)
    warnings = _remove_image(call, record) if operation.images else ()
    warnings += notify_owner(call, record, "removed", "container-deploy")
    yield Ending(acted=Acted(call.view(record), warnings=warnings))


def extend_container(call: Call, operation: ExtendContainer) -> Acted:
    """Move a container's deadlines."""
    with call.locked(operation.container, "extended") as record:
        extended = extending.extend(call.context, call.actor, record, operation.duration, reason=operation.reason)
        return Acted(call.view(extended))


def pause_container(call: Call, operation: PauseContainer) -> Acted:
    """Pause a container, and notify its owner if somebody else did it."""
    with call.locked(operation.container, "paused") as record:
        record, already = starting.pause(call.context, call.actor, record)
    warnings = () if already else notify_owner(call, record, "paused", "container-unpause")
    return Acted(call.view(record), already, warnings)


def unpause_container(call: Call, operation: UnpauseContainer) -> Acted:
    """Continue a paused container."""
    with call.locked(operation.container, "unpaused") as record:
        if record.state is not State.RUNNING:
            raise InvalidState(f"{record.name} is not paused (it is {record.state.value})")
        already = not record.paused
        return Acted(call.view(record if already else starting.resume(call.context, call.actor, record)), already)


def release_lease(call: Call, operation: ReleaseLease) -> Acted:
    """End a lease, and notify the owner if somebody else did it."""
    with call.locked(operation.container, "released", manual_too=True) as before:
        if is_manual(before):
            record = manual_lease.release(call.context, call.actor, before)
        elif before.lease is None:
            return Acted(call.view(before), already=True)
        else:
            record = stopping.release_lease(call.context, call.actor, before, why="released")
    command = None if is_manual(before) else "container-start"
    warnings = notify_owner(call, before, "released", command, subject=f"The GPU of {before.name}")
    return Acted(call.view(record), warnings=warnings)


def mark_container(call: Call, operation: MarkContainer) -> Acted:
    """Record that a container was started or stopped, if Docker agrees; for a manual lease without that check."""
    trigger = operation.trigger
    if trigger not in (Trigger.START, Trigger.STOP):
        raise UsageError(f"a container cannot be marked with {trigger.value}")
    starts = trigger is Trigger.START
    with call.locked(operation.container, "marked", manual_too=True) as record:
        if is_manual(record):
            return Acted(call.view(manual_lease.mark(call.context, call.actor, record, trigger)))
        if (record.state is State.RUNNING) != starts:
            raise InvalidState(
                f"{record.name} is {'not running' if starts else 'running'} in Docker",
                hint=f"use `container-{trigger.value} {record.name}`",
            )
        return Acted(call.view(record), already=True)


def view_of_running(call: Call, record: Record) -> ContainerView:
    """Return the view of a container with its ports. An engine that does not answer now must not fail the start."""
    container = None
    with suppress(Ds01Error):
        container = call.context.engine.inspect(record.docker_id) if record.docker_id else None
    return call.view(record, container)


def _remove_image(call: Call, record: Record) -> tuple[str, ...]:
    """Remove the image of a removed container, or return a warning why it stays."""
    if images.owner_of(record.image) != record.uid:
        return (f"the image {record.image} stays: it is not {record.user}'s own",)
    try:
        images.remove(call.context, call.actor, record.image)
    except NotFound:
        return ()
    except Ds01Error as error:
        return (f"the image {record.image} stays: {error.why or error.message}",)
    return ()


def _savings(steps: Generator[Saving, None, T]) -> Generator[Ending, None, T]:
    """Yield the progress of a stop as steps of the operation, and return its outcome."""
    with closing(steps):
        while True:
            try:
                saving = next(steps)
            except StopIteration as end:
                result: T = end.value
                return result
            yield Ending(saving=saving)
