"""Stop, release and remove containers. The engine is called first, then the record is written."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Generator
from datetime import timedelta
from typing import Any, TypeVar

from ds01.api.steps import Saving
from ds01.engines.protocol import ContainerProcess, ExecRequest
from ds01.errors import Ds01Error, EngineNotFound, InvalidState
from ds01.lifecycle.context.context import Context
from ds01.lifecycle.spec.shells import IDLE_SHELL
from ds01.records.deadlines import hold_ends
from ds01.records.end_reason import describe_commanded_end, describe_removal
from ds01.records.record import ContainerEnd, Record, apply_transition
from ds01.records.state_machine import State, Trigger, next_state
from ds01.system.users import Actor

POLL_INTERVAL = 0.1  # seconds between two checks for processes that still save
FINAL_GRACE = 2.0  # seconds that Docker gives process 1, a shell with nothing left to save
T = TypeVar("T")


def stop(
    context: Context,
    actor: Actor,
    record: Record,
    *,
    grace: float | None,
    release: bool = False,
    keep: bool = False,
    hold: bool = False,
    why: str | None = None,
) -> tuple[Record, bool]:
    """Stop a container as `stop_steps` does, without progress."""
    return drain(stop_steps(context, actor, record, grace=grace, release=release, keep=keep, hold=hold, why=why))


def drain(steps: Generator[Any, None, T]) -> T:
    """Run a generator to its end, and return its result."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result


def stop_steps(
    context: Context,
    actor: Actor,
    record: Record,
    *,
    grace: float | None,
    release: bool = False,
    keep: bool = False,
    hold: bool = False,
    why: str | None = None,
) -> Generator[Saving, None, tuple[Record, bool]]:
    """Stop a container whose lock is held. Yield the progress; return the record and whether it was stopped already.

    Closing the generator early leaves the container running; its processes may already have received TERM.

    `grace`: seconds for its processes to save; None: the policy's; 0: none. `release`: the lease ends too. `hold`: the
    lease stays even if the policy has no hold, and `pending` stays; for callers that continue under the same lock.
    """
    if record.state is not State.RUNNING:
        if release and record.lease is not None:
            record = release_lease(context, actor, record, why="released")
        if keep and not record.keep:
            record = _set_keep(context, actor, record)
        return record, True
    assert record.docker_id is not None
    seconds = context.rules.policy.policies.stop_grace.total_seconds() if grace is None else max(0.0, grace)
    if record.paused:
        context.engine.unpause(record.docker_id)  # a frozen process can neither save nor end
    until = time.monotonic() + seconds
    if seconds > 0:
        yield from let_save(context, record.docker_id, seconds)
    left = max(0.0, until - time.monotonic())
    context.engine.stop(record.docker_id, grace=min(left, FINAL_GRACE))
    return record_stop(context, actor, record, release=release, keep=keep, hold=hold, why=why), False


def record_stop(
    context: Context,
    actor: Actor,
    record: Record,
    *,
    release: bool = False,
    keep: bool = False,
    hold: bool = False,
    why: str | None = None,
) -> Record:
    """Commit the stop of a container. Its lock is held. Options as for `stop_steps`."""
    held_for = (
        timedelta(0) if release else context.rules.hold_duration(dataclasses.replace(record, keep=keep or record.keep))
    )
    with context.ledger.transaction() as ledger:
        now = context.clock()
        record = apply_transition(
            record,
            Trigger.STOP,
            actor=actor.login,
            at=now,
            why=why,
            holds=hold or held_for != timedelta(0),
            keep=keep or record.keep,
            ended=ContainerEnd(now, describe_commanded_end(actor.login, why)),
            pending=record.pending if hold else None,
        )
        if record.state is State.HELD:
            record = dataclasses.replace(record, held_until=hold_ends(record, held_for))
        return ledger.commit(record, now=now)


def _set_keep(context: Context, actor: Actor, record: Record) -> Record:
    """Keep a stopped container beyond `container_hold_after_stop`, and adapt the end of its hold."""
    kept = dataclasses.replace(record, keep=True)
    if kept.state is State.HELD:
        kept = dataclasses.replace(kept, held_until=hold_ends(kept, context.rules.hold_duration(kept)))
    with context.ledger.transaction() as ledger:
        kept = ledger.commit(dataclasses.replace(kept, warnings={}), now=context.clock())
    facts = {"actor": actor.login, "container": record.container_name, "user": record.user, "why": None}
    context.emit("keep", facts)
    return kept


def let_save(context: Context, docker_id: str, seconds: float) -> Generator[Saving, None, None]:
    """Send TERM to all processes but process 1, and wait until only idle shells are left or `seconds` are over.

    Process 1 is a shell, and the engine's stop signal reaches no other process. Yields the progress when it changes.
    """
    until = time.monotonic() + seconds
    try:
        if not _working(context.engine.processes(docker_id)):
            return
        # -1: every process but process 1 and the sender. As root inside: some processes may have changed user.
        context.engine.run(docker_id, ExecRequest(("/bin/sh", "-c", "kill -TERM -1"), user="0:0", tty=False))
        last: Saving | None = None
        for _ in range(round(seconds / POLL_INTERVAL)):
            if time.monotonic() >= until:  # Docker may take longer to list the processes than POLL_INTERVAL
                break
            left = len(_working(context.engine.processes(docker_id)))
            if not left:
                return
            now = Saving(left, max(1, math.ceil(until - time.monotonic())))
            if now != last:
                last = now
                yield now
            context.sleep(POLL_INTERVAL)
        if last is not None:
            yield dataclasses.replace(last, seconds_left=0)
    except EngineNotFound:
        raise
    except Ds01Error:
        return  # the container ended, or its shell is broken: a failure shows in the stop itself


def release_lease(context: Context, actor: Actor, record: Record, *, why: str) -> Record:
    """End the lease of a container that does not run."""
    return _apply(context, actor, record, Trigger.RELEASE, why=why)


def remove(context: Context, actor: Actor, record: Record, *, why: str | None = None) -> Record:
    """Remove a container that does not run, and its own image tag. Raises InvalidState if it runs."""
    next_state(record.state, Trigger.REMOVE)
    if record.docker_id is not None:
        with contextlib.suppress(EngineNotFound):  # somebody else has removed it already
            context.engine.remove(record.docker_id)
    if record.own_tag is not None:
        context.engine.untag(record.own_tag)
    ended = record.ended or ContainerEnd(context.clock(), describe_removal(actor.login, why))
    return _apply(context, actor, record, Trigger.REMOVE, why=why, ended=ended)


def count_processes(context: Context, record: Record) -> int:
    """Return how many processes a stop would end, without process 1 and idle shells."""
    if record.docker_id is None or record.state is not State.RUNNING:
        return 0
    return len(_working(context.engine.processes(record.docker_id)))


def check_running(record: Record, *, force: bool) -> None:
    """Raise InvalidState if a running container is to be removed without `force`."""
    if record.state is State.RUNNING and not force:
        raise InvalidState(
            f"{record.name} is running",
            why="a running container cannot be removed",
            hint=f"`container-retire {record.name}` stops it, lets it save, and removes it",
        )


def _working(processes: list[ContainerProcess]) -> list[ContainerProcess]:
    parents = {process.parent for process in processes}
    return [
        process
        for process in processes[1:]
        if process.pid in parents or not IDLE_SHELL.fullmatch(process.command.strip())
    ]


def _apply(context: Context, actor: Actor, record: Record, trigger: Trigger, **more: Any) -> Record:
    with context.ledger.transaction() as ledger:
        now = context.clock()
        return ledger.commit(apply_transition(record, trigger, actor=actor.login, at=now, **more), now=now)
