"""Stops containers at once, whatever else is at work on them. Their records follow by reconcile."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from ds01.engines.protocol import EngineContainer, Status
from ds01.errors import Ds01Error, EngineAbsent
from ds01.lifecycle.reconcile import reconcile
from ds01.lifecycle.world import World, readable
from ds01.policy.names import split_container_name
from ds01.system.users import Actor

AT_ONCE = 8  # stops side by side


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
    world.emit("emergency_stop", {"actor": actor.login, "containers": stopped, "failed": failed, "owner": owner})
    reconcile(world, world.listed())
    return Stopped(tuple(stopped), tuple(failed))


def _stop(world: World, container: EngineContainer) -> str | None:
    try:
        if container.status is Status.PAUSED:
            world.engine.unpause(container.id)  # a frozen process cannot even be killed with cgroup v1
        with suppress(EngineAbsent):
            world.engine.stop(container.id, grace=0)
    except Ds01Error as error:
        return error.message
    return None
