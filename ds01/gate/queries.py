"""Handlers of the operations that list and find containers. Changes made outside ds01 are recorded first."""

from __future__ import annotations

from collections.abc import Iterator, Set
from contextlib import suppress

from ds01.api.listing import FindAdoptable, GetGpuQuota, GetLastRequest, ListContainers, ResolveContainer
from ds01.api.views import Listing
from ds01.engines.protocol import EngineContainer
from ds01.errors import (
    Ds01Error,
    NotFound,
    UsageError,
)
from ds01.gate.call import Call
from ds01.lifecycle.context.ownership import find_unrecorded
from ds01.lifecycle.name_taken import name_taken
from ds01.lifecycle.reconciliation.inference import differs
from ds01.lifecycle.reconciliation.unsaved import collect_unsaved, with_unsaved
from ds01.lifecycle.spec.aime import is_marked, owner_of
from ds01.observe.container_views import foreign_view
from ds01.policy.names import container_name, fold_name
from ds01.records.entries import Entries, is_manual, readable
from ds01.records.record import Record
from ds01.records.request import ContainerRequest
from ds01.records.state_machine import State


def list_containers(call: Call, operation: ListContainers) -> Listing:
    """List containers and adoptable ones, from one list of the engine."""
    context = call.context
    uid = call.actor.uid if operation.owner is None else operation.owner
    everybody = operation.all_users
    listed = context.observer.containers()
    by_id = {container.id: container for container in listed}
    entries = catch_up(call, by_id, None if everybody else uid)
    records = [record for record in readable(entries) if operation.manual or not is_manual(record)]
    views = [call.view(record, by_id.get(record.docker_id or "")) for record in records]
    recorded = {record.docker_id for record in records}
    if operation.everything:
        views += [call.view(record) for record in context.ledger.removed()]
        views += [foreign_view(container) for container in listed if container.id not in recorded]
    shown = [view for view in views if everybody or view.uid == uid or (operation.everything and view.uid is None)]
    shown.sort(key=lambda view: (view.state == State.REMOVED.value, view.user or "~", view.name))
    adoptable = _adoptable(call, listed, recorded, None if everybody else uid)
    return Listing(tuple(shown), tuple(sorted(container.name for container in adoptable)))


def resolve_container(call: Call, operation: ResolveContainer) -> str:
    """Find the full name of the container that the user means."""
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
        hint="`container-list` shows them" if names else "`container-deploy NAME` creates one",
    )


def find_adoptable(call: Call, operation: FindAdoptable) -> str:
    """Find the full name of a container of AIME's tools."""
    uid = call.actor.uid if operation.owner is None else operation.owner
    recorded = {record.docker_id for record in readable(call.context.ledger.read())}
    # Also by the full name of others' containers: adopting then explains why that is not allowed.
    listed = call.context.observer.containers()
    names = {container.name for container in listed if is_marked(container) and container.id not in recorded}
    for candidate in spellings(operation.reference, uid):
        if candidate in names:
            return candidate
    raise NotFound(
        f"there is no container {operation.reference} of AIME's tools",
        hint="`container-list` shows which ones exist",
    )


def get_last_request(call: Call, operation: GetLastRequest) -> ContainerRequest | None:
    """Return the last request for a name. A container replaced by `--recreate` counts as removed too."""
    uid = call.actor.uid if operation.owner is None else operation.owner
    if not call.may(uid):
        return None
    try:
        full = container_name(operation.name, uid)
    except ValueError as error:
        raise UsageError(f"invalid container name {operation.name!r}", why=str(error)) from None
    entries = catch_up(call, {container.id: container for container in call.context.observer.containers()}, uid)
    entry = entries.get(full)
    if isinstance(entry, Record):
        raise name_taken(entry)
    removed = call.context.ledger.removed_named(full)
    created = [record for record in removed if record.request is not None and not is_manual(record)]
    last = max(created, key=lambda record: record.last_change, default=None)
    return None if last is None else last.request


def get_gpu_quota(call: Call, operation: GetGpuQuota) -> int | None:
    """Return a user's quota of slots."""
    return call.context.rules.limits(call.context.users.by_uid(operation.owner)).limits.max_mig_instances


def catch_up(call: Call, by_id: dict[str, EngineContainer], uid: int | None) -> Entries:
    """Reconcile if the containers of a user (None: of anybody) have changed, and return all records."""
    context = call.context
    entries = context.ledger.read()
    records = [record for record in readable(entries) if uid is None or record.uid == uid]
    changed = any(
        not is_manual(record) and (record.conflict or differs(record, by_id.get(record.docker_id or "")))
        for record in records
    )
    lost = bool(find_unrecorded(context, entries, by_id.values()))
    if changed or lost or len(readable(entries)) < len(entries):
        from ds01.lifecycle.reconciliation.reconcile import reconcile  # most lists need not load it

        unsaved: list[Record] = []
        reconcile(context, list(by_id.values()), failed=collect_unsaved(unsaved))
        return with_unsaved(context.ledger.read(), unsaved)
    return entries


def spellings(reference: str, uid: int) -> Iterator[str]:
    """Yield the full names that a reference may mean, the most exact first."""
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
    """Return the containers of AIME's tools without a record, of `uid` (None: of anybody)."""
    adoptable = []
    for container in listed:
        if container.id in recorded or not is_marked(container):
            continue
        with suppress(Ds01Error):  # its owner is not clear
            if owner_of(container, call.context.users) == uid or uid is None:
                adoptable.append(container)
    return adoptable
