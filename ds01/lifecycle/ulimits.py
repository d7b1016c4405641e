"""A ulimit of the policy that the machine cannot grant: known at the start only, when the kernel refuses it."""

from __future__ import annotations

from ds01.errors import Ds01Error, EngineRejected
from ds01.lifecycle.machine import State
from ds01.lifecycle.record import Record
from ds01.lifecycle.stop import give_back
from ds01.lifecycle.world import World
from ds01.system.users import Actor

UNLIMITED = -1


def explain(world: World, record: Record, error: Ds01Error) -> EngineRejected | None:
    """The error of a start that failed for a ulimit, with the policy's key and what to do; None for any other error."""
    data = error.data or {}
    if data.get("problem") != "ulimit":
        return None
    name = str(data["ulimit"])
    given = record.resource_limits.ulimits.get(name)
    again = f"`container-start {record.name} --recreate`"
    key = f"ulimits: {{{name}: {_value(given)}}}"
    if given is None:
        hint = f"it is not in the policy's `ulimits`: look at default-ulimits in Docker's daemon.json, then {again}"
    elif world.limits_of(record).limits.ulimits.get(name) != given:
        hint = f"the policy gives another {name} by now: {again} makes the container with it"
    else:
        raised = f"Limit{name.upper()}=infinity for the services of Docker and containerd"
        hint = f"an administrator lowers `{key}` in the policy, or sets {raised}; then {again}, since limits are fixed"
    return EngineRejected(
        f"this server cannot grant {record.name} the limit {name}"
        + (f" = {_value(given)}" if given is not None else ""),
        why=f"the kernel refused `{key}` of the policy: {error.why}" if given is not None else error.why,
        hint=hint,
        data={**data, "key": "ulimits"},
    )


def give_back_unstarted(world: World, actor: Actor, container_name: str) -> None:
    """End the lease of a container that cannot start and never ran. Its lock is held."""
    record = world.ledger.read().get(container_name)
    unstarted = isinstance(record, Record) and record.state is State.CREATED and record.stopped_at is None
    if isinstance(record, Record) and unstarted and record.lease is not None:
        give_back(world, actor, record, why="it cannot be started with its limits")


def _value(limit: int | None) -> str:
    return "-1 (unlimited)" if limit == UNLIMITED else str(limit)
