"""Handlers of the operations that only look. What they find changed outside ds01 is recorded first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from contextlib import suppress

from ds01.api.containers import (
    CountOtherProcesses,
    CountProcesses,
    FindAdoptable,
    GetLastRequest,
    GetSizes,
    GetUsage,
    ListAime,
    ListContainers,
    ResolveContainer,
)
from ds01.api.views import AimeView, Listing, Sized, UsageView
from ds01.engines.protocol import ContainerUsage, EngineContainer
from ds01.errors import (
    Ds01Error,
    EngineConflict,
    EngineNotFound,
    EngineRejected,
    GpusUnreachable,
    NotFound,
    StateUnwritable,
)
from ds01.gate.call import Call
from ds01.gate.views import aime_view, foreign_view, slot_usage
from ds01.gpus.model import GpuObservation
from ds01.lifecycle.context.ownership import find_unrecorded
from ds01.lifecycle.name_taken import name_taken
from ds01.lifecycle.reconciliation.inference import differs
from ds01.lifecycle.reconciliation.reconcile import reconcile
from ds01.lifecycle.spec.aime import is_marked, left_inside, owner_of
from ds01.policy.names import container_name, fold_name
from ds01.records.entries import Entries, is_manual, readable
from ds01.records.ledger import NotSaved
from ds01.records.record import Record
from ds01.records.request import ContainerRequest
from ds01.records.state_machine import State


def list_containers(call: Call, operation: ListContainers) -> Listing:
    """List containers, and what could be adopted, from one list of the engine."""
    context = call.context
    uid = call.actor.uid if operation.owner is None else operation.owner
    everybody = operation.all_users
    listed = context.observer.containers()
    by_id = {seen.id: seen for seen in listed}
    entries = catch_up(call, by_id, None if everybody else uid)
    records = [record for record in readable(entries) if operation.manual or not is_manual(record)]
    views = [call.view(record, by_id.get(record.docker_id or "")) for record in records]
    recorded = {record.docker_id for record in records}
    if operation.everything:
        views += [call.view(record) for record in context.ledger.removed()]
        views += [foreign_view(seen) for seen in listed if seen.id not in recorded]
    shown = [view for view in views if everybody or view.uid == uid or (operation.everything and view.uid is None)]
    shown.sort(key=lambda view: (view.state == State.REMOVED.value, view.user or "~", view.name))
    adoptable = _adoptable(call, listed, recorded, None if everybody else uid)
    return Listing(tuple(shown), tuple(sorted(seen.name for seen in adoptable)))


def list_aime(call: Call, operation: ListAime) -> tuple[AimeView, ...]:
    """List containers as AIME's tools do."""
    listing = list_containers(call, ListContainers(owner=operation.owner, all_users=operation.all_users))
    views = []
    for container in listing.containers:
        seen = _inspected(call, container.docker_id or "", sizes=operation.sizes)
        if seen is not None:
            views.append(aime_view(container, seen, adoptable=False))
    for name in listing.adoptable:
        seen = _inspected(call, name, sizes=operation.sizes)
        if seen is not None:
            views.append(aime_view(foreign_view(seen), seen, adoptable=True))
    return tuple(views)


def resolve_container(call: Call, operation: ResolveContainer) -> str:
    """Find the full name that is meant."""
    uid = call.actor.uid if operation.owner is None else operation.owner
    entries = call.context.ledger.read()
    for candidate in spellings(operation.reference, uid):
        entry = entries.get(candidate)
        if entry is not None and (not isinstance(entry, Record) or call.may(entry.uid)):
            return candidate
    owned = [record for record in readable(entries) if record.uid == uid and not is_manual(record)]
    names = sorted(record.name for record in owned)
    mine = uid == call.actor.uid
    why = f"{'yours are' if mine else f'{owned[0].user} has'} {', '.join(names)}" if names else None
    raise NotFound(
        f"there is no container {operation.reference}",
        why=why or ("you have none" if mine else "that user has none"),
        hint="`container-list` shows them" if names else "`container-deploy NAME` makes one",
    )


def find_adoptable(call: Call, operation: FindAdoptable) -> str:
    """Find the full name of a container of AIME's tools."""
    uid = call.actor.uid if operation.owner is None else operation.owner
    recorded = {record.docker_id for record in readable(call.context.ledger.read())}
    # Also by its full name, whosever it is: adopting it says why it may not be taken over.
    listed = call.context.observer.containers()
    names = {seen.name for seen in listed if is_marked(seen) and seen.id not in recorded}
    for candidate in spellings(operation.reference, uid):
        if candidate in names:
            return candidate
    raise NotFound(
        f"there is no container {operation.reference} of AIME's tools",
        hint="`container-list` names those that there are",
    )


def get_last_request(call: Call, operation: GetLastRequest) -> ContainerRequest | None:
    """Return the last request of a name; what a start with `--recreate` replaced counts as removed too."""
    uid = call.actor.uid if operation.owner is None else operation.owner
    if not call.may(uid):
        return None
    full = container_name(operation.name, uid)
    entries = catch_up(call, {seen.id: seen for seen in call.context.observer.containers()}, uid)
    entry = entries.get(full)
    if isinstance(entry, Record):
        raise name_taken(entry)
    removed = call.context.ledger.removed_named(full)
    created = [record for record in removed if record.request is not None and not is_manual(record)]
    last = max(created, key=lambda record: record.last_change, default=None)
    return None if last is None else last.request


def count_processes(call: Call, operation: CountProcesses) -> int:
    """Count the processes that a stop would end."""
    from ds01.lifecycle.stop import count_processes

    return count_processes(call.context, call.record(operation.container))


def count_other_processes(call: Call, operation: CountOtherProcesses) -> int:
    """Count the processes besides the first."""
    record = call.record(operation.container)
    if record.docker_id is None or record.state is not State.RUNNING or record.paused:
        return 0
    return left_inside(call.context.engine.processes(record.docker_id))


def get_sizes(call: Call, operation: GetSizes) -> tuple[Sized, ...]:
    """Return the sizes of containers; of one that the engine cannot inspect it is unknown."""
    sizes = []
    for name in operation.containers:
        record = call.record(name)
        seen = None
        with suppress(EngineConflict, EngineRejected):
            seen = call.context.engine.inspect(record.docker_id, size=True) if record.docker_id else None
        sizes.append(Sized(call.view(record, seen), seen.size_bytes if seen else None))
    return tuple(sizes)


def get_usage(call: Call, operation: GetUsage) -> tuple[UsageView, ...]:
    """Measure twice, and return the use of those that run."""
    records = [call.record(name) for name in operation.containers]
    running = [record for record in records if record.state is State.RUNNING and record.docker_id]
    first = {record.id: _usage(call, record) for record in running}
    call.context.sleep(operation.over)
    gpus = _busy_gpus(call) if any(record.lease for record in running) else None
    return tuple(_usage_view(call, record, first[record.id], operation.over, gpus) for record in running)


def _usage_view(
    call: Call, record: Record, before: ContainerUsage, over: float, gpus: GpuObservation | None
) -> UsageView:
    now = _usage(call, record)
    percent = None
    if before.cpu_nanoseconds is not None and now.cpu_nanoseconds is not None:
        percent = max(0.0, (now.cpu_nanoseconds - before.cpu_nanoseconds) / (over * 1e9) * 100)
    limits = record.resource_limits
    return UsageView(
        record.name,
        record.container_name,
        record.user,
        percent,
        limits.max_cpus,
        now.memory_bytes,
        limits.memory or now.memory_limit_bytes,
        now.pids,
        limits.pids_limit,
        call.view(record).gpus,
        slot_usage(record, gpus),
    )


def _usage(call: Call, record: Record) -> ContainerUsage:
    """Return what a container uses; all unknown if it has ended meanwhile, or the engine cannot inspect it."""
    try:
        return call.context.engine.usage(record.docker_id or "")
    except (EngineNotFound, EngineConflict, EngineRejected):
        return ContainerUsage(None, None, None, None)


def _busy_gpus(call: Call) -> GpuObservation | None:
    try:
        return call.context.observer.gpus(utilisation=True)
    except GpusUnreachable:
        return None


def _inspected(call: Call, reference: str, *, sizes: bool) -> EngineContainer | None:
    """Return a container with its detail; as the list shows it if it cannot be inspected."""
    try:
        return call.context.engine.inspect(reference, size=sizes)
    except (EngineConflict, EngineRejected):
        listed = call.context.observer.containers_again()
        return next((seen for seen in listed if reference in (seen.id, seen.name)), None)


def catch_up(call: Call, by_id: dict[str, EngineContainer], uid: int | None) -> Entries:
    """Reconcile, if the containers of a user (None: anybody) need it, and return all records."""
    context = call.context
    entries = context.ledger.read()
    records = [record for record in readable(entries) if uid is None or record.uid == uid]
    changed = any(
        not is_manual(record) and (record.conflict or differs(record, by_id.get(record.docker_id or "")))
        for record in records
    )
    lost = bool(find_unrecorded(context, entries, by_id.values()))
    if changed or lost or len(readable(entries)) < len(entries):
        unsaved: list[Record] = []
        reconcile(context, list(by_id.values()), failed=collect_unsaved(unsaved))
        return with_unsaved(context.ledger.read(), unsaved)
    return entries


def collect_unsaved(unsaved: list[Record]) -> Callable[[str, Exception], None]:
    """Return what collects the records that a full or read-only disk did not take; other failures are raised.

    Who only looks is shown what is so, whether it could be written or not.
    """

    def failed(name: str, error: Exception) -> None:
        if isinstance(error, NotSaved):
            unsaved.append(error.record)
        elif not isinstance(error, (StateUnwritable, EngineRejected)):  # reconcile reports what Docker rejects
            raise error

    return failed


def with_unsaved(entries: Entries, unsaved: list[Record]) -> Entries:
    """Return all records, those that could not be saved as they would be."""
    merged = {**entries, **{record.container_name: record for record in unsaved}}
    gone = {record.container_name for record in unsaved if record.state is State.REMOVED}
    return {name: entry for name, entry in merged.items() if name not in gone}


def spellings(reference: str, uid: int) -> Iterator[str]:
    """Yield the full names that may be meant, the most exact first."""
    yield reference
    yield f"{reference}._.{uid}"  # AIME's tools allow capitals and dots in a name
    for spell in (lambda text: text, lambda text: fold_name(text)[0]):
        try:
            yield container_name(spell(reference), uid)
        except ValueError:
            continue


def _adoptable(
    call: Call, listed: list[EngineContainer], recorded: Set[str | None], uid: int | None
) -> list[EngineContainer]:
    """Return what AIME's tools created for `uid` (None: for anybody) and no record knows."""
    found = []
    for seen in listed:
        if seen.id in recorded or not is_marked(seen):
            continue
        with suppress(Ds01Error):  # nobody can say whose it is
            if owner_of(seen, call.context.users) == uid or uid is None:
                found.append(seen)
    return found
