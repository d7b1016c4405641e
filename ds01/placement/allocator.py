"""Choose slots for a request, or refuse it. Pure.

The order of refusal is: per container, whole GPUs, quota, what exists, what is free.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from ds01.dataclass import dataclass
from ds01.gpus.model import (
    ActiveLease,
    Choice,
    Claim,
    GpuRequest,
    GpuType,
    Refusal,
    Rule,
    Slot,
    SlotKind,
    SlotRef,
    slot_sort_key,
)
from ds01.placement.allocation_input import (
    AllocationInput,
    Requester,
    free_at,
    lease_holders,
    lease_slot_names,
    offered_slots,
    slot_claims,
)
from ds01.placement.scoring import pick_slots
from ds01.policy.model import Limits, PreferredKind

SlotGroups = dict[tuple[SlotKind, str | None], list[Slot]]


def choose_slots(
    inputs: AllocationInput, request: GpuRequest, requester: Requester, limits: Limits
) -> Choice | Refusal:
    """Return the slots for `request`, or a refusal. The order of the input does not change the answer.

    A request without a count becomes CPU only if the quota is 0 or the server has no GPU. A lease that
    `requester.container` already has neither counts nor blocks: the answer replaces it.
    """
    if request.uuids is not None:
        return _choose_exact_slots(inputs, request.uuids, requester, limits)
    if request.count == 0:
        return Choice(())

    offered = offered_slots(inputs)
    if request.count is None and request.type is GpuType.ANY and request.profile is None:
        if 0 in (limits.max_mig_instances, limits.max_gpus_per_container):
            return Choice((), note="quota_zero")
        if not offered:
            return Choice((), note="no_gpus")

    requested = 1 if request.count is None else request.count
    fitting = [slot for slot in offered if _matches_request(slot, request)]
    allowed = [slot for slot in fitting if limits.allow_full_gpu or slot.kind is SlotKind.MIG]
    refusal = (
        _refuse_per_container(requested, limits)
        or _refuse_full_gpu(requested, request, fitting, allowed, limits)
        or _refuse_quota(inputs, requested, requester, limits)
        or _refuse_missing(requested, allowed)
    )
    if refusal is not None:
        return refusal

    claims = slot_claims(inputs, requester)
    for group in _in_order_of_preference(allowed, inputs.allocation.prefer):
        free = [slot for slot in group if slot.slot not in claims]
        if len(free) >= requested:
            slots = pick_slots(
                free,
                requested,
                slots=inputs.observation.slots,
                gpus=inputs.observation.gpus,
                holders=lease_holders(inputs, except_container=requester.container),
                priority=limits.priority,
                placement=inputs.allocation.placement,
            )
            return Choice(slots)
    earliest = _earliest_time(inputs, requested, _groups(allowed).values(), claims, requester)
    refusal = _refuse_none_free(requested, allowed, claims, earliest)
    return replace(refusal, free=_free_slots(inputs, claims, limits))


@dataclass(frozen=True)
class QueuedRequest:
    """A waiter ahead in the queue: request, requester, limits and number of containers."""

    request: GpuRequest
    requester: Requester
    limits: Limits
    containers: int


def after_queue(inputs: AllocationInput, queue: Sequence[QueuedRequest]) -> AllocationInput:
    """Return the input as it is for a request behind `queue`: waiters that could be served now get their slots first.

    What they cannot use stays free for those behind them.
    """
    for queued in queue:
        if check_container_count(queued.limits.max_containers_per_user, queued.containers) is not None:
            continue
        choice = choose_slots(inputs, queued.request, queued.requester, queued.limits)
        if isinstance(choice, Choice) and choice.slots:
            taken = ActiveLease(
                container=queued.requester.container or queued.requester.user,
                user=queued.requester.user,
                uid=queued.requester.uid,
                slots=tuple(slot.slot for slot in choice.slots),
                uuids=tuple(slot.uuid for slot in choice.slots),
                priority=queued.limits.priority,
                since=inputs.now,
                waiting=True,
            )
            inputs = replace(inputs, leases=[*inputs.leases, taken])
    return inputs


def quota_used(leases: Iterable[ActiveLease], uid: int, except_container: str | None = None) -> int:
    """Return how many slots the user has. Held leases and lost slots count, `except_container` does not."""
    return sum(
        len(lease.slots)
        for lease in leases
        if lease.uid == uid and (except_container is None or lease.container != except_container)
    )


def check_container_count(limit: int | None, used: int) -> Refusal | None:
    """Refuse one more container to a user who has `used` (removed ones do not count), if that exceeds `limit`."""
    if limit is None or used < limit:
        return None
    return Refusal(Rule.CONTAINERS, temporary=False, asked=1, limit=limit, used=used)


def _choose_exact_slots(
    inputs: AllocationInput, uuids: Sequence[str], requester: Requester, limits: Limits
) -> Choice | Refusal:
    """Choose exactly these slots, for a container whose devices Docker fixed when it was created."""
    wanted_uuids = list(dict.fromkeys(uuids))
    if not wanted_uuids:
        return Choice(())
    requested = len(wanted_uuids)
    by_uuid = {slot.uuid: slot for slot in inputs.observation.slots}
    matching = sorted(
        (by_uuid[uuid] for uuid in wanted_uuids if uuid in by_uuid), key=lambda slot: slot_sort_key(slot.slot)
    )
    full_gpus = [slot for slot in matching if slot.kind is SlotKind.FULL]

    refusal = _refuse_per_container(requested, limits)
    if refusal is None and full_gpus and not limits.allow_full_gpu:
        refusal = Refusal(Rule.FULL_GPU, temporary=False, asked=requested)
    refusal = refusal or _refuse_quota(inputs, requested, requester, limits)
    if refusal is not None:
        return refusal

    lost = sorted(uuid for uuid in wanted_uuids if uuid not in by_uuid)
    if lost:
        lost_claims = tuple(Claim(uuid, "lost", why="the hardware no longer has it") for uuid in lost)
        return Refusal(Rule.LOST, temporary=False, asked=requested, claims=lost_claims)
    offered = set(offered_slots(inputs))
    if not offered.issuperset(matching):
        return Refusal(Rule.NO_GPUS, temporary=False, asked=requested, limit=len(offered.intersection(matching)))

    claims = slot_claims(inputs, requester)
    if not any(slot.slot in claims for slot in matching):
        return Choice(tuple(matching))
    return _refuse_none_free(
        requested, matching, claims, _earliest_time(inputs, requested, [matching], claims, requester)
    )


def _matches_request(slot: Slot, request: GpuRequest) -> bool:
    if request.profile is not None:
        return slot.profile is not None and slot.profile.casefold() == request.profile.casefold() and (
            request.type is not GpuType.FULL
        )  # fmt: skip
    return request.type is GpuType.ANY or request.type.value == slot.kind.value


def _refuse_per_container(requested: int, limits: Limits) -> Refusal | None:
    limit = limits.max_gpus_per_container
    if limit is None or requested <= limit:
        return None
    return Refusal(Rule.PER_CONTAINER, temporary=False, asked=requested, limit=limit)


def _refuse_full_gpu(
    requested: int, request: GpuRequest, fitting: Sequence[Slot], allowed: Sequence[Slot], limits: Limits
) -> Refusal | None:
    """Refuse if the request wants or needs a whole GPU and this user may not have one."""
    if limits.allow_full_gpu:
        return None
    needed = _largest(allowed) < requested <= _largest(fitting)
    if request.type is not GpuType.FULL and not needed:
        return None
    return Refusal(Rule.FULL_GPU, temporary=False, asked=requested)


def _refuse_quota(inputs: AllocationInput, requested: int, requester: Requester, limits: Limits) -> Refusal | None:
    """Refuse if the user's total exceeds the quota; the claims are the user's slots. Held leases count."""
    limit = limits.max_mig_instances
    used = quota_used(inputs.leases, requester.uid, except_container=requester.container)
    if limit is None or used + requested <= limit:
        return None
    user_leases = [
        lease for lease in inputs.leases if lease.uid == requester.uid and lease.container != requester.container
    ]
    claims = tuple(
        Claim(
            slot,
            "held" if lease.held else "leased",
            lease.container,
            lease.user,
            lease.since,
            lease.until,
            manual=lease.manual,
        )
        for lease in user_leases
        for slot in lease_slot_names(inputs, lease)
    )
    return Refusal(Rule.QUOTA, temporary=False, asked=requested, limit=limit, used=used, claims=_sorted(claims))


def _refuse_missing(requested: int, allowed: Sequence[Slot]) -> Refusal | None:
    """Refuse if the hardware has too few slots of one kind and profile, free or not."""
    available = _largest(allowed)
    if requested <= available:
        return None
    return Refusal(Rule.NO_GPUS, temporary=False, asked=requested, limit=available)


def _refuse_none_free(
    requested: int, fitting: Sequence[Slot], claims: Mapping[str, Claim], earliest: datetime | None
) -> Refusal:
    taken = _sorted(claims[slot.slot] for slot in fitting if slot.slot in claims)
    return Refusal(Rule.NONE_FREE, temporary=True, asked=requested, claims=taken, earliest=earliest)


def _free_slots(inputs: AllocationInput, claims: Mapping[str, Claim], limits: Limits) -> tuple[SlotRef, ...]:
    """Return the slots of any kind that are free now and allowed to this user."""
    return tuple(
        slot.ref
        for slot in offered_slots(inputs)
        if slot.slot not in claims and (limits.allow_full_gpu or slot.kind is SlotKind.MIG)
    )


def _in_order_of_preference(slots: Sequence[Slot], prefer: PreferredKind) -> list[list[Slot]]:
    """Return the groups to try: the preferred kind first, then the smallest profile first."""
    groups = _groups(slots)

    def order(key: tuple[SlotKind, str | None]) -> tuple[bool, int, int, str]:
        kind, profile = key
        smallest = min(slot.memory_bytes for slot in groups[key])
        return (kind.value != prefer.value, min(slot.slices for slot in groups[key]), smallest, profile or "")

    return [groups[key] for key in sorted(groups, key=order)]


def _groups(slots: Sequence[Slot]) -> SlotGroups:
    """Group the slots by kind and profile: a request gets slots of one group only."""
    groups: SlotGroups = {}
    for slot in slots:
        groups.setdefault((slot.kind, slot.profile), []).append(slot)
    return groups


def _largest(slots: Sequence[Slot]) -> int:
    return max((len(group) for group in _groups(slots).values()), default=0)


def _earliest_time(
    inputs: AllocationInput,
    requested: int,
    groups: Iterable[list[Slot]],
    claims: Mapping[str, Claim],
    requester: Requester,
) -> datetime | None:
    """Return when a group has enough free slots, if every lease ends when due; None if unknown."""
    times = []
    for group in groups:
        free_times = [free_at(inputs, slot, claims.get(slot.slot), requester) for slot in group]
        due_times = sorted(when for when in free_times if when is not None)
        if len(due_times) >= requested:
            times.append(due_times[requested - 1])
    return min(times, default=None)


def _sorted(claims: Iterable[Claim]) -> tuple[Claim, ...]:
    return tuple(sorted(claims, key=lambda claim: (slot_sort_key(claim.slot), claim.slot, claim.container or "")))
