"""Adopt a container of AIME's tools: give it a record, the lease on its GPUs, and the limits that can be changed.

Its times start at the adoption, so that no deadline has passed already. The lease is written before the engine is
called, as everywhere: if the process is killed in between, the record keeps `pending` and the next command sets the
limits. The container has no ds01 label; only the record shows that it is ours. If the record becomes unreadable, it is
set aside and the container is AIME's again (outside use while it runs). It can then be adopted once more.
"""

from __future__ import annotations

import dataclasses
import secrets
from datetime import datetime
from typing import Any

from ds01.api.refusals import error_of
from ds01.dataclass import dataclass
from ds01.engines.protocol import ContainerStatus, EngineContainer
from ds01.errors import Busy, EngineNotFound, InvalidState, NotFound
from ds01.gpus.model import Choice, Claim, GpuRequest, Lease, Refusal, Rule, Slot, SlotKind
from ds01.gpus.slot_names import display_names
from ds01.lifecycle.context.allocation import active_leases, allocation_input
from ds01.lifecycle.context.context import Context
from ds01.lifecycle.context.observer import NO_GPUS
from ds01.lifecycle.context.slot_names import update_names
from ds01.lifecycle.reconciliation.adopted_limits import apply_limits
from ds01.lifecycle.reconciliation.inference import infer_transitions
from ds01.lifecycle.snapshot import Snapshot, take_snapshot
from ds01.lifecycle.spec.aime import name_and_uid, owner_of, request_of, what_stays
from ds01.placement.allocation_input import Requester, slot_claims
from ds01.placement.allocator import choose_slots, quota_used
from ds01.placement.devices import slots_of_devices
from ds01.policy.model import UserLimits
from ds01.policy.resolve import automation_for
from ds01.policy.units import format_number
from ds01.records.deadlines import add_delay
from ds01.records.entries import Entries, is_manual, readable
from ds01.records.ledger import UnreadableRecord
from ds01.records.record import Origin, Pending, Record, apply_transition, with_changes
from ds01.records.state_machine import State, Trigger
from ds01.system.data import format_time
from ds01.system.users import Account, Actor


@dataclass(frozen=True)
class _Candidate:
    """A container to adopt, as observed before the ledger's lock is taken."""

    container: EngineContainer
    snapshot: Snapshot  # without the container itself
    slots: tuple[Slot, ...]
    who: Requester
    limits: UserLimits


def find_listed(context: Context, name: str) -> EngineContainer:
    """Return a container by its full name, as the engine lists it. Raises NotFound."""
    for container in context.observer.containers():
        if container.name == name:
            return container
    raise NotFound(f"there is no container {name}", hint="`container-list --all` shows all of them")


def record_of(entries: Entries, container: EngineContainer) -> Record | None:
    """Return the record of a container, or None."""
    return next((record for record in readable(entries) if record.docker_id == container.id), None)


def adopt(
    context: Context, actor: Actor, listed: EngineContainer, *, ending: bool
) -> tuple[Record, bool, tuple[str, ...]]:
    """Adopt a container whose lock is held. Return the record, whether it was ours already, and warnings.

    A running container must get a lease on all of its GPUs. `ending`: it is about to be stopped, so it may have none;
    until then it is in conflict with the holders. Raises NoCapacity, InvalidState.
    """
    snapshot = take_snapshot(context, locked=(listed.name,), gpus=NO_GPUS)
    existing = record_of(snapshot.records, listed)
    if existing is not None:
        return _adopt_again(context, existing, listed)
    owner = context.users.by_uid(owner_of(listed, context.users))
    container = context.engine.inspect(listed.id)
    if container is None or container.name != listed.name:  # the name gives the owner, and the lock is on that name
        raise EngineNotFound(f"the container {listed.name} vanished")
    if container.status is ContainerStatus.REMOVING:
        raise InvalidState(f"{listed.name} is being removed")
    candidate = _as_candidate(context, owner, container, snapshot)
    new = _new_record(context, owner, candidate)
    context.rules.limits_of(new)  # looked up here: the user database is not asked under the ledger's lock
    with context.ledger.transaction() as ledger:
        update_names(ledger, candidate.snapshot.gpus, now=context.clock())
        _check_name(container.name, ledger.records)
        record, warnings = _decide(context, actor, new, candidate, ledger.records, ending=ending)
        record = ledger.commit(record, now=context.clock())
    warnings += apply_limits(context, record, container)
    with context.ledger.transaction() as ledger:
        record = ledger.commit(with_changes(record), now=context.clock())
    return record, False, (*warnings, what_stays(record.name, container))


def _adopt_again(context: Context, record: Record, listed: EngineContainer) -> tuple[Record, bool, tuple[str, ...]]:
    """Return the result of `adopt` for a container that has a record already.

    If it was adopted earlier, the limits of today are applied to it.
    """
    if record.container_name != listed.name:
        raise InvalidState(
            f"{listed.name} is ds01's container {record.name}, renamed",
            hint=f"docker rename {listed.name} {record.container_name}",
        )
    return record, True, apply_limits(context, record, listed) if record.origin is Origin.ADOPTED else ()


def _as_candidate(context: Context, owner: Account, container: EngineContainer, snapshot: Snapshot) -> _Candidate:
    # GPUs that do not answer matter only if the container has some.
    gpus = context.observer.gpus() if container.devices else NO_GPUS
    outside = [other for other in snapshot.outside if other.id != container.id]
    limits = context.rules.limits(owner)
    return _Candidate(
        container,
        dataclasses.replace(snapshot, gpus=gpus, outside=outside),
        slots_of_devices(container.devices, gpus) if container.devices else (),
        Requester(owner.login, owner.uid, limits.group, container.name),
        limits,
    )


def _check_name(name: str, entries: Entries) -> None:
    """Raise Busy or InvalidState if another record has the name: a manual lease or another container."""
    entry = entries.get(name)
    if isinstance(entry, UnreadableRecord):
        raise Busy(f"the record of {name} cannot be read and is being repaired", why=entry.why)
    if entry is not None:
        what = "a manual lease" if is_manual(entry) else "another container"
        raise InvalidState(
            f"the name {entry.name} is taken",
            why=f"{what} has it",
            hint="rename the container with `docker rename`",
            code="name.taken",
        )


def _decide(
    context: Context, actor: Actor, record: Record, candidate: _Candidate, entries: Entries, *, ending: bool
) -> tuple[Record, tuple[str, ...]]:
    """Return the record with its lease, in the engine's state, and warnings. Raises NoCapacity."""
    now = context.clock()
    lease = Lease(record.gpus_fixed, now) if record.gpus_fixed else None
    conflict = None
    if lease is not None and candidate.container.status.has_processes:
        refusal = _blocking_refusal(context, dataclasses.replace(record, lease=lease), candidate, entries)
        if refusal is not None:
            if not ending:
                raise error_of(refusal)
            slots = display_names(record.gpus_fixed)
            lease, conflict = None, f"it runs on GPU {slots}, which it could not get when it was adopted"
    elif lease is not None and not _may_lease(context, candidate, entries, now):
        lease = None
    warnings = _quota_warnings(context, record, candidate, entries, lease)
    record = apply_transition(
        record, Trigger.CREATE, actor=actor.login, at=now, why="adopted: created by AIME's tools", lease=lease
    )
    hold = candidate.limits.limits.gpu_hold_after_stop
    # In conflict the devices must not be leased, so they are passed as taken.
    taken = {ref.uuid for ref in record.gpus_fixed} if conflict else set()
    record = infer_transitions(record, candidate.container, taken=taken, hold=hold, now=now).record
    changes: dict[str, Any] = {"pending": Pending(Trigger.CREATE, now, actor.login)}
    if record.state is State.RUNNING:
        # Its activity until now is unknown, so its idle time counts from now.
        changes |= {"activity": {"last": format_time(now)}, "conflict": conflict}
    elif record.state is State.CREATED and record.gpus_fixed and lease is None:
        record = apply_transition(record, Trigger.RELEASE, actor=actor.login, at=now, why="its GPU is not leased")
    return with_changes(record, **changes), warnings


def _new_record(context: Context, owner: Account, candidate: _Candidate) -> Record:
    container = candidate.container
    name = (name_and_uid(container.name) or (container.name, 0))[0]
    own_tag = container.image if container.image.endswith(f":{container.name}") else None
    most = candidate.limits.limits.max_gpus_per_container
    request = request_of(container, owner.uid, name, slots=len(candidate.slots), most=most)
    return Record(
        id=secrets.token_hex(16),
        installation=context.ledger.installation,
        container_name=container.name,
        name=name,
        project=name,
        user=owner.login,
        uid=owner.uid,
        gid=owner.gid,
        group=candidate.limits.group,
        state=State.CREATED,
        origin=Origin.ADOPTED,
        image=request.image,
        own_tag=own_tag,
        docker_id=container.id,
        created_at=min(container.created_at, context.clock()),
        request=request,
        gpus_fixed=tuple(slot.ref for slot in candidate.slots),
        resource_limits=candidate.limits.limits,
        workspace=request.workspace,
    )


def _blocking_refusal(context: Context, record: Record, candidate: _Candidate, entries: Entries) -> Refusal | None:
    """Return the refusal if others have the GPUs of a running container. Its quota does not matter: it runs already."""
    snapshot, records = candidate.snapshot, {**entries, record.container_name: record}
    situation = allocation_input(context, records, snapshot.gpus, snapshot.outside)
    claims = slot_claims(situation, candidate.who)
    taken = tuple(claims[slot.slot] for slot in candidate.slots if slot.slot in claims)
    if not taken:
        return None
    return Refusal(
        Rule.NONE_FREE, temporary=True, asked=len(candidate.slots), claims=taken, earliest=_latest_end(taken)
    )


def _latest_end(claims: tuple[Claim, ...]) -> datetime | None:
    """Return when the last claim ends; None if unknown."""
    ends = [claim.until for claim in claims]
    return max(end for end in ends if end is not None) if None not in ends else None


def _may_lease(context: Context, candidate: _Candidate, entries: Entries, now: datetime) -> bool:
    """Return whether a container that does not run may lease its GPUs by the usual rules: quota, queue and so on."""
    if candidate.container.started_at is None:
        rules = automation_for(context.rules.policy, candidate.limits)
        until = add_delay(candidate.container.created_at, rules.created_timeout)
        if until is not None and until <= now:
            return False
    situation = candidate.snapshot.allocation_input(context, entries)
    request = GpuRequest(len(candidate.slots), uuids=tuple(slot.uuid for slot in candidate.slots))
    return isinstance(choose_slots(situation, request, candidate.who, candidate.limits.limits), Choice)


def _quota_warnings(
    context: Context, record: Record, candidate: _Candidate, entries: Entries, lease: Lease | None
) -> tuple[str, ...]:
    """Return warnings for what the container has beyond the policy."""
    limits, count = candidate.limits.limits, len(candidate.slots)
    others = [other for other in readable(entries) if other.uid == record.uid and not is_manual(other)]
    warnings = []
    if limits.max_containers_per_user is not None and len(others) >= limits.max_containers_per_user:
        most = f"{format_number(limits.max_containers_per_user)} (max_containers_per_user)"
        warnings.append(f"{record.user} now has {len(others) + 1} containers; the limit is {most}")
    if lease is not None:
        used = quota_used(active_leases(context, entries), record.uid) + count
        if limits.max_mig_instances is not None and used > limits.max_mig_instances:
            warnings.append(
                f"{record.user} now has {used} GPUs; the quota is {limits.max_mig_instances} (max_mig_instances)"
            )
    beyond = None
    if limits.max_gpus_per_container is not None and count > limits.max_gpus_per_container:
        beyond = f"it has {count} GPUs; the limit is {limits.max_gpus_per_container} (max_gpus_per_container)"
    elif not limits.allow_full_gpu and any(slot.kind is SlotKind.FULL for slot in candidate.slots):
        beyond = "it has a whole GPU, which the policy does not allow (allow_full_gpu)"
    if beyond is not None:
        again = f"once stopped, it can only be started with container-start {record.name} --recreate"
        warnings.append(f"{beyond}: {again}")
    return tuple(warnings)
