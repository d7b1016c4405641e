"""Stops containers at once, whatever else is at work on them. Their records follow by reconcile."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from ds01.engines.protocol import EngineContainer, Status
from ds01.errors import Ds01Error, EngineAbsent
from ds01.lifecycle.machine import State
from ds01.lifecycle.reconcile import reconcile
from ds01.lifecycle.record import Record
from ds01.lifecycle.stop import write_stop
from ds01.lifecycle.world import World, readable
from ds01.policy.names import split_container_name
from ds01.system.users import Actor

AT_ONCE = 8  # stops side by side
WHY = "emergency stop"


@dataclass(frozen=True)
class Stopped:
    """The full names of the containers that were stopped, and of those that were not, with why."""

    containers: tuple[str, ...]
    failed: tuple[str, ...] = ()


def running(world: World, owner: int | None) -> list[EngineContainer]:
    """The running containers of this installation; of one owner, unless that is None."""
    known = {record.docker_id: record.uid for record in readable(world.ledger.read()) if record.docker_id}
    found = []
    for container in world.listed():
        parts = split_container_name(container.name)
        uid = known.get(container.id, parts[1] if parts and world.is_ours(container) else None)
        if container.status.runs and uid is not None and owner in (None, uid):
            found.append(container)
    return found


def stop_at_once(world: World, actor: Actor, owner: int | None) -> Stopped:
    """Stop them, without a grace and without any lock: a command in progress may hold these for minutes.

    What a command has under way it finds changed when it writes; reconcile records what came of it.
    """
    containers = running(world, owner)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        problems = list(pool.map(lambda container: _stop(world, container), containers))
    failed = [f"{seen.name}: {why}" for seen, why in zip(containers, problems, strict=True) if why]
    stopped = [seen.name for seen, why in zip(containers, problems, strict=True) if not why]
    for container in containers:
        if container.name in stopped:
            _write(world, actor, container)
    user = None if owner is None else world.users.by_uid(owner).login
    facts = {"actor": actor.login, "container": None, "user": user, "why": WHY}
    world.emit("emergency_stop", facts | {"containers": stopped, "failed": failed})
    reconcile(world, world.listed())
    return Stopped(tuple(stopped), tuple(failed))


def _write(world: World, actor: Actor, container: EngineContainer) -> None:
    """Who did it, in the record. Where a command is at work on it, reconcile writes later that it ended."""
    records = readable(world.ledger.read())
    name = next((record.container_name for record in records if record.docker_id == container.id), None)
    if name is None:
        return
    with suppress(Ds01Error), world.ledger.container_lock(name, doing=f"being stopped by {actor.login}", wait=0):
        record = world.ledger.read().get(name)
        if isinstance(record, Record) and record.state is State.RUNNING and record.pending is None:
            write_stop(world, actor, record, why=WHY)


def _stop(world: World, container: EngineContainer) -> str | None:
    try:
        if container.status is Status.PAUSED:
            world.engine.unpause(container.id)  # a frozen process cannot even be killed with cgroup v1
        with suppress(EngineAbsent):
            world.engine.stop(container.id, grace=0)
    except Ds01Error as error:
        return error.message
    return None
