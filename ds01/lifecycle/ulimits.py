"""Explain the start failure of a ulimit that the machine cannot grant: the kernel refuses it only at the start."""

from __future__ import annotations

from contextlib import suppress

from ds01.errors import Ds01Error, EngineRejected
from ds01.lifecycle.context.context import Context
from ds01.lifecycle.stop import release_lease
from ds01.records.record import Record
from ds01.records.state_machine import State
from ds01.system.users import Actor


def explain_start_failure(context: Context, record: Record, error: Ds01Error) -> EngineRejected | None:
    """Return the error for a start that failed because of a ulimit, with the policy's key; None for other errors."""
    data = error.data or {}
    if data.get("problem") != "ulimit":
        return None
    name = str(data["ulimit"])
    given = _container_ulimits(context, record).get(name)
    again = f"`container-start {record.name} --recreate`"
    key = f"ulimits: {{{name}: {given}}}"
    if given is None:
        hint = f"it is not in the policy's `ulimits`: check default-ulimits in Docker's daemon.json, then {again}"
    elif context.rules.limits_of(record).limits.ulimits.get(name) != given:
        hint = f"the policy's `ulimits` has another {name} now: {again} creates the container with it"
    else:
        raised = f"Limit{name.upper()}=infinity for the services of Docker and containerd"
        hint = (
            f"an administrator changes `{key}` in the policy, or sets {raised}; then {again}: "
            "a container keeps the limits that it was created with"
        )
    return EngineRejected(
        f"this server cannot give {record.name} the ulimit {name}" + ("" if given is None else f" = {given}"),
        why=error.why if given is None else f"the kernel refused `{key}` of the policy: {error.why}",
        hint=hint,
        data={**data, "key": "ulimits"},
    )


def release_unstarted(context: Context, actor: Actor, container_name: str) -> None:
    """End the lease of a container that cannot start and never ran. Its lock is held."""
    record = context.ledger.read().get(container_name)
    unstarted = isinstance(record, Record) and record.state is State.CREATED and record.stopped_at is None
    if isinstance(record, Record) and unstarted and record.lease is not None:
        release_lease(context, actor, record, why="it cannot be started with its limits")


def _container_ulimits(context: Context, record: Record) -> dict[str, int]:
    """Return the container's ulimits from the engine; at a start, the record already has the policy's current ones."""
    with suppress(Ds01Error):
        container = context.engine.inspect(record.docker_id or "")
        if container is not None and container.spec is not None:
            return dict(container.spec.ulimits)
    return {name: value for name, value in record.resource_limits.ulimits.items() if value is not None}
