"""Stops containers at once, whatever else is at work on them. Their records follow by reconcile."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from ds01.api.answers import Stopped
from ds01.engines.protocol import ContainerStatus, EngineContainer
from ds01.errors import Ds01Error, EngineNotFound, NotFound
from ds01.lifecycle.context.context import Context
from ds01.lifecycle.context.ownership import find_unrecorded
from ds01.lifecycle.reconciliation.reconcile import reconcile
from ds01.lifecycle.stop import record_stop
from ds01.records.entries import readable
from ds01.records.record import Record
from ds01.records.state_machine import State
from ds01.system.users import Actor

MAX_PARALLEL = 8  # stops side by side
WHY = "emergency stop"


def list_running(context: Context, owner: int | None) -> list[EngineContainer]:
    """The running containers of this installation; of one owner, unless that is None."""
    entries, listed = context.ledger.read(), context.observer.containers()
    owners = {record.docker_id: record.uid for record in readable(entries) if record.docker_id}
    owners |= {seen.id: int(seen.labels["ds01.uid"]) for seen in find_unrecorded(context, entries, listed)}
    found = []
    for container in listed:
        uid = owners.get(container.id)
        if container.status.has_processes and uid is not None and owner in (None, uid):
            found.append(container)
    return found


def stop_at_once(context: Context, actor: Actor, owner: int | None) -> Stopped:
    """Stop them, without a grace and without any lock: a command in progress may hold these for minutes.

    What a command has under way it finds changed when it writes; reconcile records what came of it. Whatever goes
    wrong with one container, or after the stops, the answer names what was stopped and what was not.
    """
    user = None if owner is None else _login(context, owner)
    containers = list_running(context, owner)
    with ThreadPoolExecutor(MAX_PARALLEL) as pool:
        problems = list(pool.map(lambda container: _stop(context, container), containers))
    failed = [f"{_name(seen)}: {why}" for seen, why in zip(containers, problems, strict=True) if why]
    stopped = [seen for seen, why in zip(containers, problems, strict=True) if not why]
    for container in stopped:
        with suppress(Ds01Error, OSError):
            _record_stop(context, actor, container)
    names = [_name(seen) for seen in stopped]
    facts = {"actor": actor.login, "container": None, "user": user, "why": WHY}
    context.emit("emergency_stop", facts | {"containers": names, "failed": failed})
    problem = None
    try:
        reconcile(
            context, context.observer.containers(), failed=lambda name, error: None
        )  # what it cannot record the next tick does
    except (Ds01Error, OSError) as error:
        problem = f"the records do not show all of it yet: {error}"
    return Stopped(tuple(names), tuple(failed), problem)


def _login(context: Context, owner: int) -> str:
    """The owner's login; a user database that does not answer must not keep anything from being stopped."""
    try:
        return context.users.by_uid(owner).login
    except NotFound:
        return f"uid {owner}"


def _name(container: EngineContainer) -> str:
    """The name of a container; a broken one may have lost it."""
    return container.name or container.id


def _record_stop(context: Context, actor: Actor, container: EngineContainer) -> None:
    """Who did it, in the record. Where a command is at work on it, reconcile writes later that it ended."""
    records = readable(context.ledger.read())
    name = next((record.container_name for record in records if record.docker_id == container.id), None)
    if name is None:
        return
    with suppress(Ds01Error), context.ledger.container_lock(name, doing=f"being stopped by {actor.login}", wait=0):
        record = context.ledger.read().get(name)
        if isinstance(record, Record) and record.state is State.RUNNING and record.pending is None:
            record_stop(context, actor, record, why=WHY)


def _stop(context: Context, container: EngineContainer) -> str | None:
    """Stop one; why it could not be stopped, or None."""
    if container.status is ContainerStatus.PAUSED:
        with suppress(Ds01Error, OSError):  # the stop itself tells
            context.engine.unpause(container.id)  # a frozen process cannot even be killed with cgroup v1
    try:
        with suppress(EngineNotFound):
            context.engine.stop(container.id, grace=0)
    except Ds01Error as error:
        return f"{error.message}: {error.why}" if error.why else error.message
    except Exception as error:  # of the connection, say: the other containers are stopped all the same
        return f"{type(error).__name__}: {error}"
    return None
