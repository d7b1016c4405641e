"""Stop containers at once, even while other commands work on them. Reconcile updates their records."""

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

MAX_PARALLEL = 8  # stops at the same time
WHY = "emergency stop"


def list_running(context: Context, owner: int | None) -> list[EngineContainer]:
    """Return the running containers of this installation, or of one owner."""
    entries, listed = context.ledger.read(), context.observer.containers()
    owners = {record.docker_id: record.uid for record in readable(entries) if record.docker_id}
    owners |= {
        container.id: int(container.labels["ds01.uid"]) for container in find_unrecorded(context, entries, listed)
    }
    running = []
    for container in listed:
        uid = owners.get(container.id)
        if container.status.has_processes and uid is not None and owner in (None, uid):
            running.append(container)
    return running


def stop_at_once(context: Context, actor: Actor, owner: int | None) -> Stopped:
    """Stop the containers of an owner, or all, without grace and without locks, which a command may hold for minutes.

    A command in progress finds its record changed when it commits, and reconcile records the outcome. Whatever fails,
    the result names what was stopped and what was not.
    """
    user = None if owner is None else _login(context, owner)
    containers = list_running(context, owner)
    with ThreadPoolExecutor(MAX_PARALLEL) as pool:
        problems = list(pool.map(lambda container: _stop(context, container), containers))
    failed = [f"{_name(container)}: {why}" for container, why in zip(containers, problems, strict=True) if why]
    stopped = [container for container, why in zip(containers, problems, strict=True) if not why]
    for container in stopped:
        with suppress(Ds01Error, OSError):
            _record_stop(context, actor, container)
    names = [_name(container) for container in stopped]
    facts = {"actor": actor.login, "container": None, "user": user, "why": WHY}
    context.emit("emergency_stop", facts | {"containers": names, "failed": failed})
    problem = None
    try:
        # The next tick records what fails here.
        reconcile(context, context.observer.containers(), failed=lambda name, error: None)
    except (Ds01Error, OSError) as error:
        problem = f"the records are not up to date yet: {error}"
    return Stopped(tuple(names), tuple(failed), problem)


def _login(context: Context, owner: int) -> str:
    """Return the owner's login, or the uid: a user database that does not answer must not prevent a stop."""
    try:
        return context.users.by_uid(owner).login
    except NotFound:
        return f"uid {owner}"


def _name(container: EngineContainer) -> str:
    """Return a container's name, or its id: a broken container may have no name."""
    return container.name or container.id


def _record_stop(context: Context, actor: Actor, container: EngineContainer) -> None:
    """Record the stop with its actor. If a command holds the container, reconcile records the end later."""
    records = readable(context.ledger.read())
    name = next((record.container_name for record in records if record.docker_id == container.id), None)
    if name is None:
        return
    with suppress(Ds01Error), context.ledger.container_lock(name, doing=f"being stopped by {actor.login}", wait=0):
        record = context.ledger.read().get(name)
        if isinstance(record, Record) and record.state is State.RUNNING and record.pending is None:
            record_stop(context, actor, record, why=WHY)


def _stop(context: Context, container: EngineContainer) -> str | None:
    """Stop one container. Return why it failed, or None."""
    if container.status is ContainerStatus.PAUSED:
        with suppress(Ds01Error, OSError):  # a failure shows in the stop itself
            context.engine.unpause(container.id)  # a frozen process cannot even be killed with cgroup v1
    try:
        with suppress(EngineNotFound):
            context.engine.stop(container.id, grace=0)
    except Ds01Error as error:
        return f"{error.message}: {error.why}" if error.why else error.message
    except Exception as error:  # such as a broken connection: the other containers are still stopped
        return f"{type(error).__name__}: {error}"
    return None
