"""Brings the records to what the engine says: what vanished, stopped, started or appeared behind ds01's back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from ds01.engines.protocol import EngineContainer, Status
from ds01.errors import Busy, EngineAbsent, EngineConflict, EngineRejected, EngineUnreachable, GpusUnreachable
from ds01.gpus.devices import slots_of
from ds01.gpus.model import Lease, SlotRef
from ds01.lifecycle.judge import OBSERVED, differs, ended_by_restart, is_half_made, judge
from ds01.lifecycle.ledger import Unreadable
from ds01.lifecycle.limiting import limit
from ds01.lifecycle.machine import State, Trigger
from ds01.lifecycle.rebuild import rebuilt
from ds01.lifecycle.record import Origin, Record, settle
from ds01.lifecycle.twin import discard, is_awaited, place_of, remove_unused, swap
from ds01.lifecycle.world import World, is_manual, readable, taken_uuids


@dataclass(frozen=True)
class Change:
    """Something that reconcile did: to which container, and what."""

    container: str
    what: str


def reconcile(
    world: World,
    listed: list[EngineContainer],
    *,
    locked: Collection[str] = (),
    failed: Callable[[str, Exception], None] | None = None,
) -> list[Change]:
    """Bring every record to what the engine says; skip what a command is at work on, but for those `locked` by us.

    `listed` came from `world.listed`, so the engine did answer. Raises EngineUnreachable if it stops answering.
    `failed` gets what goes wrong with one container, and the others go on; without it that is raised.
    """
    entries = world.ledger.read()
    changes: list[Change] = []

    def guarded(name: str, act: Callable[[], list[Change]]) -> None:
        try:
            changes.extend(_guarded(world, name, locked, act))
        except EngineUnreachable:
            raise
        except Exception as error:
            if failed is None:
                raise
            failed(name, error)

    by_id = {container.id: container for container in listed}
    by_label = {container.labels.get("ds01.id"): container for container in listed if world.is_ours(container)}
    for record in readable(entries):
        found = by_id.get(record.docker_id) if record.docker_id else by_label.get(record.id)
        if not is_manual(record) and differs(record, found):
            guarded(record.container_name, partial(one, world, record.container_name))
    known = {record.docker_id for record in readable(entries)} | {None}
    for container in listed:
        if container.id in known:
            continue
        if world.is_ours(container):
            guarded(container.name, partial(_orphan, world, container))
        elif (place := place_of(world, container)) is not None:
            guarded(place, partial(_stray, world, container, place))
    named = {container.name for container in listed if world.is_ours(container)}
    for name, entry in entries.items():
        if isinstance(entry, Unreadable) and name not in named:
            guarded(name, partial(_set_aside, world, name))
    return changes


def foresee(world: World, listed: list[EngineContainer]) -> list[Change]:
    """What `reconcile` would do; nothing is changed. What a twin leads to is `settled`."""
    entries = world.ledger.read()
    by_id = {container.id: container for container in listed}
    changes = []
    for record in readable(entries):
        name = record.container_name
        known = by_id.get(record.docker_id or "")
        if is_manual(record) or not differs(record, known) or not world.ledger.container_lock_is_free(name):
            continue
        if is_awaited(record):
            changes.append(Change(name, "settled"))
            continue
        seen = _look(world, record)
        if seen is not None and is_half_made(record, seen):
            seen = None  # it goes, and what is left is judged
        restart = _restart(world, record, seen)
        taken = taken_uuids(entries, but=name)
        verdict = judge(record, seen, taken=taken, hold=world.hold_of(record), now=world.clock(), restart=restart)
        if verdict.record != record:
            changes += [Change(name, step.trigger.value) for step in verdict.steps] or [Change(name, "settled")]
    ids = {record.docker_id for record in readable(entries)}
    strays = (seen for seen in listed if seen.id not in ids and world.is_ours(seen))
    return changes + [Change(seen.name, "rebuilt") for seen in strays if not isinstance(entries.get(seen.name), Record)]


def glance(world: World, container_name: str) -> list[Change]:
    """Bring one record to what the engine says, unless a command is at work on it."""
    return _guarded(world, container_name, (), partial(one, world, container_name))


def one(world: World, container_name: str) -> list[Change]:
    """Bring one record to what the engine says. The container's lock is held."""
    record = world.ledger.read().get(container_name)
    if not isinstance(record, Record) or is_manual(record):
        return []
    seen = _look(world, record)
    if is_awaited(record):
        try:
            if _bring_twin_to_its_end(world, record, seen):
                return [Change(container_name, "made anew")]
        except (EngineConflict, EngineRejected):
            return []  # Docker is not done with the old one, say: the next look tells
        seen = _look(world, record)
    if seen is not None and is_half_made(record, seen):
        if not remove_unused(world, seen):
            return []  # it started meanwhile, or went: the next look tells
        seen = None
    if seen is not None and _is_half_adopted(record):
        with suppress(EngineAbsent):  # it went meanwhile: the next look tells
            limit(world, record, seen)
    hold = world.hold_of(record)
    restart = _restart(world, record, seen)
    devices = _devices_of_a_start(world, record, seen)
    with world.ledger.transaction() as ledger:
        record_now = ledger.records.get(container_name)
        if not isinstance(record_now, Record) or record_now.id != record.id:
            return []
        taken = taken_uuids(ledger.records, but=container_name)
        judged = record_now
        if devices is not None and _uuids(devices) != _uuids(record_now.gpus_fixed):
            judged = dataclasses.replace(record_now, gpus_fixed=devices, lease=None)  # its lease is on others
        verdict = judge(judged, seen, taken=taken, hold=hold, now=world.clock(), restart=restart)
        if verdict.record == record_now:
            return []
        after = ledger.commit(verdict.record, now=world.clock())
    _clear_up(world, after)
    world.report(after, verdict.steps)
    if after.conflict and not record.conflict:
        _tell_both(world, after)
    return [Change(container_name, step.trigger.value) for step in verdict.steps] or [Change(container_name, "settled")]


def _bring_twin_to_its_end(world: World, record: Record, seen: EngineContainer | None) -> bool:
    """What its maker, who was killed, left: a whole one takes the place, any other goes. Whether it took the place."""
    assert record.pending is not None
    if record.pending.successor is not None and (seen is None or not seen.status.runs):
        with suppress(EngineAbsent):
            swap(world, record)
            return True
    discard(world, record)
    return False


def _guarded(world: World, name: str, locked: Collection[str], act: Callable[[], list[Change]]) -> list[Change]:
    if name in locked:
        return act()
    try:
        with world.ledger.container_lock(name, doing="being looked at", wait=0):
            return act()
    except Busy:
        return []  # a command is at work on it, and writes what comes of it


def _look(world: World, record: Record) -> EngineContainer | None:
    if record.docker_id is not None:
        return world.engine.inspect(record.docker_id)
    seen = world.engine.inspect(record.container_name)
    if seen is not None and world.is_ours(seen) and seen.labels.get("ds01.id") == record.id:
        return seen
    return None


def _is_half_adopted(record: Record) -> bool:
    """Whether an adoption has written the record, and did not come to the limits."""
    creating = record.pending is not None and record.pending.trigger is Trigger.CREATE
    return creating and record.origin is Origin.ADOPTED


def devices_now(world: World, seen: EngineContainer) -> tuple[SlotRef, ...]:
    """The slots that a container's devices mean today: `all`, a number or an index may mean others than before.

    Raises GpusUnreachable.
    """
    return tuple(slot.ref for slot in slots_of(seen.devices, world.observe_gpus())) if seen.devices else ()


def _devices_of_a_start(world: World, record: Record, seen: EngineContainer | None) -> tuple[SlotRef, ...] | None:
    """What an adopted container got at a start that the record does not know; None if there is nothing new to know."""
    if record.origin is not Origin.ADOPTED or seen is None or not seen.status.runs:
        return None
    if record.state is State.RUNNING and record.engine_started_at == seen.started_at:
        return None
    with suppress(GpusUnreachable):
        return devices_now(world, seen)
    return None


def _restart(world: World, record: Record, seen: EngineContainer | None) -> str | None:
    """What ended a container that no longer runs, if that was a restart of Docker or of the server."""
    same = seen is not None and seen.status.runs and seen.started_at == record.engine_started_at
    if record.state is not State.RUNNING or seen is None or same:
        return None
    return ended_by_restart(record, seen, world.engine_facts())


def _clear_up(world: World, record: Record) -> None:
    """The own image tag goes with its container."""
    if record.state is State.REMOVED and record.own_tag is not None:
        world.engine.untag(record.own_tag)


def holders(world: World, record: Record) -> list[Record]:
    """Who has the slots that Docker fixed for a container that runs without a lease on them."""
    uuids = _uuids(record.gpus_fixed)
    return [
        other
        for other in readable(world.ledger.read())
        if other.lease and other.id != record.id and any(ref.uuid in uuids for ref in other.lease.slots)
    ]


def end_conflict(world: World, record: Record) -> bool:
    """Give a container that runs without a lease its own slots, if nobody has them any more; whether that was so."""
    with world.ledger.transaction() as ledger:
        if _uuids(record.gpus_fixed) & taken_uuids(ledger.records, but=record.container_name):
            return False
        lease = Lease(record.gpus_fixed, world.clock())
        ledger.commit(settle(record, lease=lease, conflict=None), now=world.clock())
    why = "whoever had its GPU gave it back"
    world.emit("repair", {"container": record.container_name, "user": record.user, "why": why, "actor": OBSERVED})
    return True


def _tell_both(world: World, record: Record) -> None:
    for other in holders(world, record):
        facts = {"actor": OBSERVED, "container": record.container_name, "user": record.user, "why": record.conflict}
        world.emit("conflict", facts | {"holder": other.container_name, "holder_user": other.user})


def _uuids(refs: Iterable[SlotRef]) -> set[str]:
    return {ref.uuid for ref in refs}


def _orphan(world: World, container: EngineContainer) -> list[Change]:
    """A container of ours that no record knows: a leftover of a create that was given up, or its record was lost."""
    seen = world.engine.inspect(container.id)
    if seen is None or seen.status is Status.REMOVING:
        return []
    entries = world.ledger.read()
    if isinstance(entries.get(seen.name), Record):
        return []  # the name is somebody's; it counts as use from outside
    if any(record.id == seen.labels["ds01.id"] for record in readable(entries)):
        return []  # made by hand from an image that was committed, and has its labels
    if seen.started_at is None and world.ledger.was_removed(seen.labels["ds01.id"]):
        return _leftover(world, seen)
    with world.ledger.transaction() as ledger:
        entry = ledger.records.get(seen.name)
        if isinstance(entry, Record):
            return []
        record = rebuilt(world, seen, ledger)
        if isinstance(entry, Unreadable):
            ledger.set_aside(seen.name, now=world.clock())
        record = ledger.commit(record, now=world.clock())
    why = f"its record was unreadable: {entry.why}" if entry is not None else "it had no record"
    world.emit("repair", {"container": seen.name, "user": record.user, "why": why, "actor": OBSERVED})
    if record.conflict:
        _tell_both(world, record)
    return [Change(seen.name, "rebuilt")]


def _stray(world: World, container: EngineContainer, place: str) -> list[Change]:
    """A twin that nobody waits for any more: Docker made it late, or the record that told of it is lost."""
    record = world.ledger.read().get(place)
    if isinstance(record, Record) and (is_awaited(record) or record.docker_id == container.id):
        return []
    seen = world.engine.inspect(container.id)
    return _leftover(world, seen) if seen is not None and seen.name == container.name else []


def _leftover(world: World, seen: EngineContainer) -> list[Change]:
    if not remove_unused(world, seen):
        return []
    facts = {"actor": OBSERVED, "container": seen.name, "user": seen.labels.get("ds01.user")}
    world.emit("repair", facts | {"why": "its create was given up"})
    return [Change(seen.name, "leftover removed")]


def _set_aside(world: World, name: str) -> list[Change]:
    """An unreadable record behind which no container stands."""
    with world.ledger.transaction() as ledger:
        entry = ledger.records.get(name)
        if not isinstance(entry, Unreadable):
            return []
        ledger.set_aside(name, now=world.clock())
    facts = {"actor": OBSERVED, "container": name, "user": None}
    world.emit("repair", facts | {"why": f"its record was unreadable: {entry.why}"})
    return [Change(name, "set aside")]
