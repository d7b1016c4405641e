"""Gather the view of the whole server: one list of the engine, one pass of NVML, cgroup files, records and policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

from ds01.api.seeing.server_view import (
    DiskUseView,
    ServerContainer,
    ServerSlot,
    ServerUser,
    ServerView,
    WaitingView,
)
from ds01.dataclass import dataclass
from ds01.engines.protocol import ContainerUsage, EngineContainer, EngineInfo
from ds01.errors import Ds01Error, EngineUnreachable, GpusUnreachable
from ds01.gpus.model import GpuObservation
from ds01.lifecycle.context.allocation import allocation_input
from ds01.lifecycle.context.context import Context
from ds01.lifecycle.context.observer import NO_GPUS
from ds01.lifecycle.context.slot_names import update_names_if_possible
from ds01.lifecycle.reconciliation.unsaved import collect_unsaved, with_unsaved
from ds01.lifecycle.snapshot import take_snapshot
from ds01.observe.container_views import foreign_view, view
from ds01.observe.disk_use.document import DOCUMENT as DISK_USE
from ds01.observe.disk_use.document import disk_use_views, user_disk_use
from ds01.observe.queue import queue_rows
from ds01.observe.server.complaints import find_complaints
from ds01.observe.server.containers import (
    UNKNOWN_USAGE,
    activity_of,
    container_view,
    foreign_container,
    group_views,
    last_sample,
    user_views,
)
from ds01.observe.server.gpus import gpu_views, leased_slots, slot_views, supply
from ds01.observe.server.machine import read_disk_views, read_machine, read_tick
from ds01.observe.server.outside import outside_views
from ds01.observe.server.process_owners import process_owner
from ds01.placement.allocation_input import AllocationInput
from ds01.records.entries import Entries, readable
from ds01.records.record import Record
from ds01.records.state_machine import State


@dataclass(frozen=True)
class _Observed:
    """What engine and GPUs answered. `engine` and `gpus` are None if they did not; `unknown` then says why."""

    engine: EngineInfo | None
    listed: Sequence[EngineContainer]
    outside: list[EngineContainer]
    gpus: GpuObservation | None
    entries: Entries
    unknown: tuple[str, ...]


def gather_server_view(context: Context) -> ServerView:
    """Return the whole server, unredacted. Records are brought up to date first.

    The policy is the one that the context has read. If Docker or the GPUs do not answer, the rest is shown, and
    `unknown` says what is missing. Raises Ds01Error if the records cannot be read.
    """
    observed = _observe(context)
    now = context.clock()
    records = readable(observed.entries)
    by_id = {container.id: container for container in observed.listed}
    inputs = allocation_input(context, observed.entries, observed.gpus or NO_GPUS, observed.outside)
    views = {
        record.container_name: view(record, *context.rules.deadline_rules(record), by_id.get(record.docker_id or ""))
        for record in records
    }
    recorded = {record.docker_id for record in records}
    usages = _usages(context, records) if observed.engine is not None else {}
    containers = [
        container_view(record, views[record.container_name], usages.get(record.docker_id or "", UNKNOWN_USAGE), now)
        for record in records
    ]
    containers += [foreign_container(foreign_view(item)) for item in observed.listed if item.id not in recorded]
    find_owner = cache(partial(process_owner, users=context.users))
    activities = {record.container_name: activity_of(record) for record in records}
    slots = (
        leased_slots(records, views, activities)
        if observed.gpus is None
        else slot_views(inputs, views, activities, _names(records, observed.listed), find_owner)
    )
    slots = _with_lease_use(slots, records, context.ledger.accounting_path)
    outside = outside_views(inputs, find_owner)
    gpus = gpu_views(observed.gpus.gpus if observed.gpus is not None else ())
    queue = _queue(context, inputs, observed)
    users = user_views(context, records, containers, inputs.leases, _waiting_by_user(queue))
    disk_use = disk_use_views(context.ledger.document(DISK_USE).read())
    users = tuple(_with_disk_use(user, disk_use) for user in users)
    tick = read_tick(context.ledger.read_tick_report())
    disks = read_disk_views(context, observed.engine)
    return ServerView(
        at=now,
        driver=observed.gpus.driver if observed.gpus is not None else None,
        simulated=bool(observed.gpus and observed.gpus.simulated),
        machine=read_machine(context),
        gpus=gpus,
        slots=slots,
        supply=supply(slots) if observed.gpus is not None else (),
        containers=tuple(sorted(containers, key=_container_order)),
        users=users,
        groups=group_views(users),
        queue=queue,
        reservations=context.rules.open_reservations(),
        outside=outside,
        tick=tick,
        disks=disks,
        disk_use=disk_use,
        complaints=find_complaints(
            now, tick=tick, gpus=gpus, slots=slots, containers=containers, outside=outside, disks=disks
        ),
        unknown=observed.unknown,
    )


def _with_disk_use(user: ServerUser, rows: tuple[DiskUseView, ...]) -> ServerUser:
    size, at = user_disk_use(rows, user.uid)
    return replace(user, disk_bytes=size, disk_measured_at=at)


def _observe(context: Context) -> _Observed:
    unknown: list[str] = []
    gpus: GpuObservation | None = None
    try:
        gpus = context.observer.gpus(utilisation=True)
    except GpusUnreachable as error:
        unknown.append(_describe("the GPUs do not answer", error))
    unsaved: list[Record] = []
    try:
        snapshot = take_snapshot(context, gpus=gpus or NO_GPUS, failed=collect_unsaved(unsaved))
        engine, listed, outside = context.observer.engine_facts(), snapshot.containers, snapshot.outside
    except EngineUnreachable as error:
        unknown.append(_describe("Docker does not answer; containers are shown as last recorded", error))
        engine, listed, outside = None, [], []
    if gpus is not None and engine is not None:
        update_names_if_possible(context, gpus)
    entries = with_unsaved(context.ledger.read(), unsaved)
    return _Observed(engine, listed, outside, gpus, entries, tuple(unknown))


def _describe(what: str, error: Ds01Error) -> str:
    return f"{what} ({error.message}{f': {error.why}' if error.why else ''})"


def _usages(context: Context, records: Sequence[Record]) -> Mapping[str, ContainerUsage]:
    """Return the use of the running containers by Docker id; without those that cannot be read."""
    pids: dict[str, int | None] = {}
    for record in records:
        if record.state is State.RUNNING and record.docker_id:
            pid = last_sample(record).get("pid")
            pids[record.docker_id] = pid if isinstance(pid, int) else None
    with suppress(Ds01Error):
        return context.engine.usages(pids, network=False)
    return {}


def _names(records: Sequence[Record], listed: Sequence[EngineContainer]) -> dict[str, str]:
    """Return the full names of all containers by their Docker ids."""
    names = {container.id: container.name for container in listed}
    return names | {record.docker_id: record.container_name for record in records if record.docker_id}


def _with_lease_use(slots: Sequence[ServerSlot], records: Sequence[Record], path: Path) -> tuple[ServerSlot, ...]:
    """Return the slots with what was used of their leases, as far as the accounting knows."""
    if not path.exists():
        return tuple(slots)
    from ds01.observe.accounting.lease_use import read_utilisation_of_leases  # SQLite takes time to load

    used = read_utilisation_of_leases(path)
    ids = {record.container_name: record.id for record in records if record.lease is not None}
    return tuple(
        replace(slot, used_percent=used.get((ids[slot.container], slot.uuid))) if slot.container in ids else slot
        for slot in slots
    )


def _queue(context: Context, inputs: AllocationInput, observed: _Observed) -> tuple[WaitingView, ...]:
    return tuple(
        WaitingView(row.id, row.user, row.name, row.gpus, row.priority, row.since, row.position, row.why, row.earliest)
        for row in queue_rows(context, inputs, observed.entries)
    )


def _waiting_by_user(queue: Sequence[WaitingView]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for waiter in queue:
        counts[waiter.user] = counts.get(waiter.user, 0) + 1
    return counts


def _container_order(item: ServerContainer) -> tuple[str, str]:
    return item.container.user or "~", item.container.name
