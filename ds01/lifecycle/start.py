"""Start: the lease is kept, or taken again on the same slots, before the engine is called."""

from __future__ import annotations

import dataclasses

from ds01.errors import Ds01Error, NotPossible
from ds01.gpus.allocator import behind, choose
from ds01.gpus.model import Choice, Claim, GpuRequest, Lease, Observation, Refusal, Rule, SlotRef
from ds01.gpus.situation import Requester
from ds01.lifecycle import create, stop
from ds01.lifecycle.ahead import in_line, waiters
from ds01.lifecycle.machine import State, Trigger
from ds01.lifecycle.reconcile import devices_now, one, reconcile
from ds01.lifecycle.record import Origin, Pending, Record, move, settle
from ds01.lifecycle.refusals import error_of
from ds01.lifecycle.world import World
from ds01.system.users import Actor


def start(world: World, actor: Actor, record: Record) -> tuple[Record, bool]:
    """Start a container whose lock is held; the record, and whether it ran already. Raises Ds01Error."""
    if record.state is State.RUNNING:
        return (resume(world, actor, record), True) if record.paused else (record, True)
    record = _lease_again(world, actor, record)
    assert record.docker_id is not None
    try:
        world.engine.start(record.docker_id)
        seen = world.engine.inspect(record.docker_id)
    except BaseException as error:
        if isinstance(error, Ds01Error):
            one(world, record.container_name)  # what it amounts to: the new lease goes back if nothing runs
        raise
    with world.ledger.transaction() as ledger:
        engine_time = seen.started_at if seen else None
        now = world.clock()
        record = move(record, Trigger.START, actor=actor.login, at=now, engine_started_at=engine_time)
        record = ledger.commit(record, now=now)
    world.report(record, record.history[-1:])
    return record, False


def remake(world: World, actor: Actor, record: Record, *, grace: float | None) -> tuple[Record, tuple[str, ...]]:
    """Make a container anew on the slots that it has; one that ran is stopped, and runs again. Raises Ds01Error.

    Whatever can be refused is refused before anything is stopped.
    """
    _prepare(world, actor, record)
    kept = _leased(world, record)
    ran = record.state is State.RUNNING
    if ran:
        record, _ = stop.stop(world, actor, record, grace=grace, hold=True, why="to be made anew")
    record, warnings = recreate(world, actor, record, kept=kept)
    if ran:
        record, _ = start(world, actor, record)
    return record, warnings


def recreate(
    world: World, actor: Actor, record: Record, *, kept: Choice | None = None
) -> tuple[Record, tuple[str, ...]]:
    """Make a container anew from its request, on any slots or those that it `kept`, and not start it. The workspace
    stays.

    The new lease is taken before the old container goes: whoever is refused still has it.
    """
    prepared = _prepare(world, actor, record)
    if record.state is State.RUNNING:
        raise NotPossible(f"{record.name} runs", hint=f"`container-stop {record.name}` first")
    found = create.look(world, prepared, locked=True)
    with world.ledger.transaction() as ledger:
        choice = create.decide(world, prepared, found, ledger.records) if kept is None else kept
        if isinstance(choice, Refusal):
            raise error_of(choice)
        slots = tuple(slot.ref for slot in choice.slots)
        # Until the old container is gone, its slots are given to nobody: it could still be started behind ds01.
        too = tuple(ref for ref in (record.lease.slots if record.lease else ()) if ref not in slots)
        lease = Lease(slots + too, world.clock()) if slots + too else None
        pending = Pending(Trigger.REMOVE, world.clock(), actor.login)
        old = ledger.commit(settle(record, lease=lease, pending=pending), now=world.clock())
    assert old.docker_id is not None
    world.engine.remove(old.docker_id)
    if old.own_tag is not None:
        world.engine.untag(old.own_tag)
    with world.ledger.transaction() as ledger:
        # Both under one lock, so that nobody comes between the old lease and the new one.
        gone = move(old, Trigger.REMOVE, actor=actor.login, at=world.clock(), why="made anew")
        ledger.commit(gone, now=world.clock())
        new = ledger.commit(create.new_record(world, actor, prepared, choice), now=world.clock())
    world.report(gone, gone.history[-1:])
    return create.make(world, actor, prepared, new)


def resume(world: World, actor: Actor, record: Record) -> Record:
    """Let a paused container go on."""
    assert record.docker_id is not None
    world.engine.unpause(record.docker_id)
    return _flag(world, actor, record, paused=False)


def pause(world: World, actor: Actor, record: Record) -> tuple[Record, bool]:
    """Freeze a running container; its lease and its idle time go on. The record, and whether it was already."""
    if record.state is not State.RUNNING:
        raise NotPossible(f"{record.name} is {record.state.value}, only a running container can be paused")
    if record.paused:
        return record, True
    assert record.docker_id is not None
    world.engine.pause(record.docker_id)
    return _flag(world, actor, record, paused=True), False


def _flag(world: World, actor: Actor, record: Record, *, paused: bool) -> Record:
    with world.ledger.transaction() as ledger:
        record = ledger.commit(settle(record, paused=paused), now=world.clock())
    facts = {"actor": actor.login, "container": record.container_name, "user": record.user, "why": None}
    world.emit("pause" if paused else "unpause", facts)
    return record


def _lease_again(world: World, actor: Actor, record: Record) -> Record:
    """Write what is about to happen; for a stopped container first take the slots that Docker fixed for it."""
    needed = record.gpus_fixed
    _check_devices(world, record)
    pending = Pending(Trigger.START, world.clock(), actor.login)
    if not needed:
        with world.ledger.transaction() as ledger:
            return ledger.commit(settle(record, pending=pending), now=world.clock())
    gpus = world.observe_gpus()
    lost = _lost(needed, gpus)
    if lost is not None:
        raise error_of(lost)
    lease = record.lease
    owner = world.users.by_uid(record.uid)
    limits = world.limits(owner)
    listed = []
    if lease is None:
        listed = world.listed()
        if reconcile(world, listed, locked=(record.container_name,)):
            listed = world.engine.containers()
    entries = world.ledger.read()
    world.ask_owners(entries)
    foreign = world.foreign(entries, listed)
    line = in_line(world, waiters(world), entries) if lease is None else ()  # who does not wait stands behind it
    with world.ledger.transaction() as ledger:
        if lease is None:
            situation = behind(world.situation(ledger.records, gpus, foreign), line)
            request = GpuRequest(len(needed), uuids=tuple(ref.uuid for ref in needed))
            who = Requester(owner.login, owner.uid, limits.group, record.container_name)
            choice = choose(situation, request, who, limits.limits)
            if isinstance(choice, Refusal):
                raise error_of(choice)
            lease = Lease(needed, world.clock())
        changed = dataclasses.replace(settle(record, pending=pending, lease=lease), resource_limits=limits.limits)
        return ledger.commit(changed, now=world.clock())


def _prepare(world: World, actor: Actor, record: Record) -> create.Prepared:
    """The request of a container that is made anew, checked. Raises Ds01Error."""
    if record.request is None or record.docker_id is None:
        raise NotPossible(f"{record.name} cannot be made again", why="its record does not say how it was made")
    return create.prepare(world, actor, record.request)


def _leased(world: World, record: Record) -> Choice:
    """The slots that a container has, as if they had been chosen for it. Raises Ds01Error if it has not got them."""
    if record.lease is None:
        if not record.gpus_fixed:
            return Choice(())
        first = f"`container-stop {record.name}`, then " if record.state is State.RUNNING else ""
        raise NotPossible(
            f"{record.name} has no GPU on which it could be made anew",
            why=record.conflict or f"it is {record.state.value}",
            hint=f"{first}`container-start {record.name} --recreate` makes it anew, with a GPU that is free",
        )
    gpus = world.observe_gpus()
    lost = _lost(record.lease.slots, gpus)
    if lost is not None:
        raise error_of(lost)
    uuids = {ref.uuid for ref in record.lease.slots}
    return Choice(tuple(slot for slot in gpus.slots if slot.uuid in uuids))


def _check_devices(world: World, record: Record) -> None:
    """Raises NotPossible for an adopted container that would get a GPU which it had not when it was adopted."""
    if record.origin is not Origin.ADOPTED:
        return
    seen = world.engine.inspect(record.docker_id or "")
    had = {ref.uuid for ref in record.gpus_fixed}
    more = [ref.slot for ref in (devices_now(world, seen) if seen else ()) if ref.uuid not in had]
    if more:
        raise NotPossible(
            f"{record.name} would get GPU {', '.join(more)} too",
            why="AIME's tools made it for all GPUs, or for some by number, and the server's have changed since",
            hint=f"`container-start {record.name} --recreate` makes it anew, with a GPU of its own; /workspace stays",
        )


def _lost(refs: tuple[SlotRef, ...], gpus: Observation) -> Refusal | None:
    """The refusal if one of the slots is not there any more."""
    there = {slot.uuid for slot in gpus.slots}
    lost = tuple(Claim(ref.slot, "lost", why=f"{ref.uuid} is gone") for ref in refs if ref.uuid not in there)
    return Refusal(Rule.LOST, temporary=False, asked=len(refs), claims=lost) if lost else None
