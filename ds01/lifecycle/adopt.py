"""Adopt: a container that AIME's tools made gets a record, the lease on its GPUs, and the limits that can be changed.

For ds01 its life begins now, so that no deadline is past at once. As everywhere the lease comes before the engine:
who is killed in between leaves a record with `pending`, and whoever looks next sets the limits. It has no label of
ds01's, only its record says that it is ours: if that becomes unreadable it is set aside, and the container is AIME's
again, whose GPUs are in use from outside while it runs. It can then be adopted once more.
"""

from __future__ import annotations

import dataclasses
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ds01.api.refusals import error_of
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
    """What was seen before the ledger's lock is taken."""

    seen: EngineContainer
    snapshot: Snapshot  # without `seen`
    slots: tuple[Slot, ...]
    who: Requester
    limits: UserLimits


def find_listed(context: Context, container: str) -> EngineContainer:
    """A container by its full name, as the engine lists it. Raises NotFound."""
    for seen in context.observer.containers():
        if seen.name == container:
            return seen
    raise NotFound(f"there is no container {container}", hint="`container-list --all` shows all of them")


def record_of(entries: Entries, seen: EngineContainer) -> Record | None:
    """The record of a container, if it has one."""
    return next((record for record in readable(entries) if record.docker_id == seen.id), None)


def adopt(
    context: Context, actor: Actor, listed: EngineContainer, *, ending: bool
) -> tuple[Record, bool, tuple[str, ...]]:
    """Take a container over, whose lock is held; the record, whether it was ours already, and warnings.

    A running one has to get all GPUs that it has. `ending`: it is about to be stopped, so it may have none; until
    then it is in conflict with whoever has them. Raises NoCapacity, InvalidState.
    """
    snapshot = take_snapshot(context, locked=(listed.name,), gpus=NO_GPUS)
    known = record_of(snapshot.records, listed)
    if known is not None:
        return _adopt_again(context, known, listed)
    owner = context.users.by_uid(owner_of(listed, context.users))
    seen = context.engine.inspect(listed.id)
    if seen is None or seen.name != listed.name:  # the name says whose it is, and the lock is on it
        raise EngineNotFound(f"the container {listed.name} vanished")
    if seen.status is ContainerStatus.REMOVING:
        raise InvalidState(f"{listed.name} is being removed")
    candidate = _as_candidate(context, owner, seen, snapshot)
    new = _new_record(context, owner, candidate)
    context.rules.limits_of(new)  # nobody asks the user database under the ledger's lock
    with context.ledger.transaction() as ledger:
        update_names(ledger, candidate.snapshot.gpus, now=context.clock())
        _check_name(seen.name, ledger.records)
        record, warnings = _decide(context, actor, new, candidate, ledger.records, ending=ending)
        record = ledger.commit(record, now=context.clock())
    warnings += apply_limits(context, record, seen)
    with context.ledger.transaction() as ledger:
        record = ledger.commit(with_changes(record), now=context.clock())
    return record, False, (*warnings, what_stays(record.name, seen))


def _adopt_again(context: Context, record: Record, listed: EngineContainer) -> tuple[Record, bool, tuple[str, ...]]:
    """One that is ours already; the limits of an adopted one are set anew."""
    if record.container_name != listed.name:
        raise InvalidState(
            f"{listed.name} is ds01's container {record.name}, renamed",
            hint=f"docker rename {listed.name} {record.container_name}",
        )
    return record, True, apply_limits(context, record, listed) if record.origin is Origin.ADOPTED else ()


def _as_candidate(context: Context, owner: Account, seen: EngineContainer, snapshot: Snapshot) -> _Candidate:
    # GPUs that do not answer matter only to a container that has some.
    gpus = context.observer.gpus() if seen.devices else NO_GPUS
    outside = [other for other in snapshot.outside if other.id != seen.id]
    limits = context.rules.limits(owner)
    return _Candidate(
        seen,
        dataclasses.replace(snapshot, gpus=gpus, outside=outside),
        slots_of_devices(seen.devices, gpus) if seen.devices else (),
        Requester(owner.login, owner.uid, limits.group, seen.name),
        limits,
    )


def _check_name(container: str, entries: Entries) -> None:
    """Raises if a record has the name: of a lease that was made by hand, or of another container."""
    entry = entries.get(container)
    if isinstance(entry, UnreadableRecord):
        raise Busy(f"the record of {container} is unreadable and being looked at", why=entry.why)
    if entry is not None:
        what = "a lease that was made by hand" if is_manual(entry) else "another container"
        raise InvalidState(
            f"the name {entry.name} is taken",
            why=f"{what} has it",
            hint="`docker rename` gives another",
            code="name.taken",
        )


def _decide(
    context: Context, actor: Actor, record: Record, candidate: _Candidate, entries: Entries, *, ending: bool
) -> tuple[Record, tuple[str, ...]]:
    """The record with its lease and in the state that the engine has. Raises NoCapacity."""
    now = context.clock()
    lease = Lease(record.gpus_fixed, now) if record.gpus_fixed else None
    conflict = None
    if lease is not None and candidate.seen.status.has_processes:
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
        record, Trigger.CREATE, actor=actor.login, at=now, why="adopted: made by AIME's tools", lease=lease
    )
    hold = candidate.limits.limits.gpu_hold_after_stop
    # In conflict, so that the devices are not leased: `judge` is told that somebody has them.
    taken = {ref.uuid for ref in record.gpus_fixed} if conflict else set()
    record = infer_transitions(record, candidate.seen, taken=taken, hold=hold, now=now).record
    changes: dict[str, Any] = {"pending": Pending(Trigger.CREATE, now, actor.login)}
    if record.state is State.RUNNING:
        # What it did until now nobody has seen: its idle time counts from now.
        changes |= {"activity": {"last": format_time(now)}, "conflict": conflict}
    elif record.state is State.CREATED and record.gpus_fixed and lease is None:
        record = apply_transition(record, Trigger.RELEASE, actor=actor.login, at=now, why="its GPU is not leased")
    return with_changes(record, **changes), warnings


def _new_record(context: Context, owner: Account, candidate: _Candidate) -> Record:
    seen = candidate.seen
    name = (name_and_uid(seen.name) or (seen.name, 0))[0]
    own_tag = seen.image if seen.image.endswith(f":{seen.name}") else None
    most = candidate.limits.limits.max_gpus_per_container
    request = request_of(seen, owner.uid, name, slots=len(candidate.slots), most=most)
    return Record(
        id=secrets.token_hex(16),
        installation=context.ledger.installation,
        container_name=seen.name,
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
        docker_id=seen.id,
        created_at=min(seen.created_at, context.clock()),
        request=request,
        gpus_fixed=tuple(slot.ref for slot in candidate.slots),
        resource_limits=candidate.limits.limits,
        workspace=request.workspace,
    )


def _blocking_refusal(context: Context, record: Record, candidate: _Candidate, entries: Entries) -> Refusal | None:
    """Who has the GPUs on which a container runs. Its quota does not matter: it runs there already."""
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
    """When the last of them ends; None if nobody can say."""
    ends = [claim.until for claim in claims]
    return max(end for end in ends if end is not None) if None not in ends else None


def _may_lease(context: Context, candidate: _Candidate, entries: Entries, now: datetime) -> bool:
    """Whether a container that does not run may have its GPUs as any other may: quota, waiting line, and all."""
    if candidate.seen.started_at is None:
        rules = automation_for(context.rules.policy, candidate.limits)
        until = add_delay(candidate.seen.created_at, rules.created_timeout)
        if until is not None and until <= now:
            return False
    situation = candidate.snapshot.allocation_input(context, entries)
    request = GpuRequest(len(candidate.slots), uuids=tuple(slot.uuid for slot in candidate.slots))
    return isinstance(choose_slots(situation, request, candidate.who, candidate.limits.limits), Choice)


def _quota_warnings(
    context: Context, record: Record, candidate: _Candidate, entries: Entries, lease: Lease | None
) -> tuple[str, ...]:
    """What it has, or would need, beyond the policy."""
    limits, count = candidate.limits.limits, len(candidate.slots)
    others = [other for other in readable(entries) if other.uid == record.uid and not is_manual(other)]
    warnings = []
    if limits.max_containers_per_user is not None and len(others) >= limits.max_containers_per_user:
        most = f"{format_number(limits.max_containers_per_user)} (max_containers_per_user)"
        warnings.append(f"these are {len(others) + 1} containers, and the limit is {most}")
    if lease is not None:
        used = quota_used(active_leases(context, entries), record.uid) + count
        if limits.max_mig_instances is not None and used > limits.max_mig_instances:
            warnings.append(f"these are {used} GPUs, and the quota is {limits.max_mig_instances} (max_mig_instances)")
    beyond = None
    if limits.max_gpus_per_container is not None and count > limits.max_gpus_per_container:
        beyond = f"it has {count} GPUs, one container may have {limits.max_gpus_per_container} (max_gpus_per_container)"
    elif not limits.allow_full_gpu and any(slot.kind is SlotKind.FULL for slot in candidate.slots):
        beyond = "it has a whole GPU, which the policy does not give (allow_full_gpu)"
    if beyond is not None:
        again = f"once it is stopped, it starts again with container-start {record.name} --recreate only"
        warnings.append(f"{beyond}: {again}")
    return tuple(warnings)
