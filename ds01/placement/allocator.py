"""Who gets which slots: a pure function from the situation and a request to a choice or a refusal.

The order of refusal is: per container, whole GPUs, quota, what exists, what is free.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ds01.gpus.model import Choice, Claim, GpuRequest, GpuType, Holding, Kind, Refusal, Rule, Slot, SlotRef, slot_number
from ds01.placement.scoring import pick
from ds01.placement.situation import Requester, Situation, claims_on, comes_free, holders_of, names_of, offered_slots
from ds01.policy.model import Limits, Prefer

Groups = dict[tuple[Kind, str | None], list[Slot]]


def choose(situation: Situation, request: GpuRequest, who: Requester, limits: Limits) -> Choice | Refusal:
    """The slots for `request`, or why not. The same answer for the same input, in whatever order it comes.

    A request that says nothing becomes CPU only where the quota is 0 or the server has none. A lease that
    `who.container` already has neither counts nor blocks: the answer replaces it.
    """
    if request.uuids is not None:
        return _choose_exactly(situation, request.uuids, who, limits)
    if request.count == 0:
        return Choice(())

    offered = offered_slots(situation)
    if request.count is None and request.type is GpuType.ANY and request.profile is None:
        if 0 in (limits.max_mig_instances, limits.max_gpus_per_container):
            return Choice((), note="quota_zero")
        if not offered:
            return Choice((), note="no_gpus")

    asked = 1 if request.count is None else request.count
    fitting = [slot for slot in offered if _fits(slot, request)]
    allowed = [slot for slot in fitting if limits.allow_full_gpu or slot.kind is Kind.MIG]
    refusal = (
        _refuse_per_container(asked, limits)
        or _refuse_full_gpu(asked, request, fitting, allowed, limits)
        or _refuse_quota(situation, asked, who, limits)
        or _refuse_missing(asked, allowed)
    )
    if refusal is not None:
        return refusal

    claims = claims_on(situation, who)
    for group in _in_order_of_preference(allowed, situation.allocation.prefer):
        free = [slot for slot in group if slot.slot not in claims]
        if len(free) >= asked:
            slots = pick(
                free,
                asked,
                slots=situation.observation.slots,
                gpus=situation.observation.gpus,
                holders=holders_of(situation, but=who.container),
                priority=limits.priority,
                placement=situation.allocation.placement,
            )
            return Choice(slots)
    earliest = _earliest(situation, asked, _groups(allowed).values(), claims, who)
    refusal = _none_free(asked, allowed, claims, earliest)
    return replace(refusal, free=_free_for(situation, claims, limits))


@dataclass(frozen=True)
class Ahead:
    """Somebody ahead in the waiting line: for what, who, with which limits and how many containers."""

    request: GpuRequest
    who: Requester
    limits: Limits
    containers: int


def behind(situation: Situation, line: Sequence[Ahead]) -> Situation:
    """The situation as it is for whoever comes after `line`: who could be served now goes first, in order.

    Later ones may take what those ahead cannot use.
    """
    for ahead in line:
        if check_containers(ahead.limits.max_containers_per_user, ahead.containers) is not None:
            continue
        choice = choose(situation, ahead.request, ahead.who, ahead.limits)
        if isinstance(choice, Choice) and choice.slots:
            taken = Holding(
                container=ahead.who.container or ahead.who.user,
                user=ahead.who.user,
                uid=ahead.who.uid,
                slots=tuple(slot.slot for slot in choice.slots),
                uuids=tuple(slot.uuid for slot in choice.slots),
                priority=ahead.limits.priority,
                since=situation.now,
                waiting=True,
            )
            situation = replace(situation, leases=[*situation.leases, taken])
    return situation


def quota_use(leases: Iterable[Holding], uid: int, but: str | None = None) -> int:
    """How many slots the user has: held leases count, lost slots too; the lease of container `but` does not."""
    return sum(len(lease.slots) for lease in leases if lease.uid == uid and (but is None or lease.container != but))


def check_containers(limit: int | None, used: int) -> Refusal | None:
    """Whether a user with `used` containers, all but removed ones, may have one more."""
    if limit is None or used < limit:
        return None
    return Refusal(Rule.CONTAINERS, temporary=False, asked=1, limit=limit, used=used)


def _choose_exactly(situation: Situation, uuids: Sequence[str], who: Requester, limits: Limits) -> Choice | Refusal:
    """Exactly these slots, for a container whose devices Docker fixed when it was made."""
    wanted = list(dict.fromkeys(uuids))
    if not wanted:
        return Choice(())
    asked = len(wanted)
    by_uuid = {slot.uuid: slot for slot in situation.observation.slots}
    found = sorted((by_uuid[uuid] for uuid in wanted if uuid in by_uuid), key=lambda slot: slot_number(slot.slot))
    whole = [slot for slot in found if slot.kind is Kind.FULL]

    refusal = _refuse_per_container(asked, limits)
    if refusal is None and whole and not limits.allow_full_gpu:
        refusal = Refusal(Rule.FULL_GPU, temporary=False, asked=asked)
    refusal = refusal or _refuse_quota(situation, asked, who, limits)
    if refusal is not None:
        return refusal

    lost = sorted(uuid for uuid in wanted if uuid not in by_uuid)
    if lost:
        gone = tuple(Claim(uuid, "lost", why="the hardware no longer has it") for uuid in lost)
        return Refusal(Rule.LOST, temporary=False, asked=asked, claims=gone)
    offered = set(offered_slots(situation))
    if not offered.issuperset(found):
        return Refusal(Rule.NO_GPUS, temporary=False, asked=asked, limit=len(offered.intersection(found)))

    claims = claims_on(situation, who)
    if not any(slot.slot in claims for slot in found):
        return Choice(tuple(found))
    return _none_free(asked, found, claims, _earliest(situation, asked, [found], claims, who))


def _fits(slot: Slot, request: GpuRequest) -> bool:
    if request.profile is not None:
        return slot.profile is not None and slot.profile.casefold() == request.profile.casefold() and (
            request.type is not GpuType.FULL
        )  # fmt: skip
    return request.type is GpuType.ANY or request.type.value == slot.kind.value


def _refuse_per_container(asked: int, limits: Limits) -> Refusal | None:
    limit = limits.max_gpus_per_container
    if limit is None or asked <= limit:
        return None
    return Refusal(Rule.PER_CONTAINER, temporary=False, asked=asked, limit=limit)


def _refuse_full_gpu(
    asked: int, request: GpuRequest, fitting: Sequence[Slot], allowed: Sequence[Slot], limits: Limits
) -> Refusal | None:
    """If whole GPUs were asked for, or would be what is needed, and this user may not have one."""
    if limits.allow_full_gpu:
        return None
    needed = _largest(allowed) < asked <= _largest(fitting)
    if request.type is not GpuType.FULL and not needed:
        return None
    return Refusal(Rule.FULL_GPU, temporary=False, asked=asked)


def _refuse_quota(situation: Situation, asked: int, who: Requester, limits: Limits) -> Refusal | None:
    """By the user's total, with what the user has as claims. Held leases count."""
    limit = limits.max_mig_instances
    used = quota_use(situation.leases, who.uid, but=who.container)
    if limit is None or used + asked <= limit:
        return None
    own = [lease for lease in situation.leases if lease.uid == who.uid and lease.container != who.container]
    claims = tuple(
        Claim(
            slot,
            "held" if lease.held else "leased",
            lease.container,
            lease.user,
            lease.since,
            lease.until,
            manual=lease.by_hand,
        )
        for lease in own
        for slot in names_of(situation, lease)
    )
    return Refusal(Rule.QUOTA, temporary=False, asked=asked, limit=limit, used=used, claims=_sorted(claims))


def _refuse_missing(asked: int, allowed: Sequence[Slot]) -> Refusal | None:
    """If the hardware has not so many of one kind and profile, free or not."""
    most = _largest(allowed)
    if asked <= most:
        return None
    return Refusal(Rule.NO_GPUS, temporary=False, asked=asked, limit=most)


def _none_free(asked: int, fitting: Sequence[Slot], claims: Mapping[str, Claim], earliest: datetime | None) -> Refusal:
    taken = _sorted(claims[slot.slot] for slot in fitting if slot.slot in claims)
    return Refusal(Rule.NONE_FREE, temporary=True, asked=asked, claims=taken, earliest=earliest)


def _free_for(situation: Situation, claims: Mapping[str, Claim], limits: Limits) -> tuple[SlotRef, ...]:
    """Return what is free now and may be this user's, of any kind."""
    return tuple(
        slot.ref
        for slot in offered_slots(situation)
        if slot.slot not in claims and (limits.allow_full_gpu or slot.kind is Kind.MIG)
    )


def _in_order_of_preference(slots: Sequence[Slot], prefer: Prefer) -> list[list[Slot]]:
    """The groups to try: the preferred kind first, in it the smallest profile first."""
    groups = _groups(slots)

    def order(key: tuple[Kind, str | None]) -> tuple[bool, int, int, str]:
        kind, profile = key
        smallest = min(slot.memory_bytes for slot in groups[key])
        return (kind.value != prefer.value, min(slot.slices for slot in groups[key]), smallest, profile or "")

    return [groups[key] for key in sorted(groups, key=order)]


def _groups(slots: Sequence[Slot]) -> Groups:
    """The slots by kind and profile: only such can be given together."""
    groups: Groups = {}
    for slot in slots:
        groups.setdefault((slot.kind, slot.profile), []).append(slot)
    return groups


def _largest(slots: Sequence[Slot]) -> int:
    return max((len(group) for group in _groups(slots).values()), default=0)


def _earliest(
    situation: Situation, asked: int, groups: Iterable[list[Slot]], claims: Mapping[str, Claim], who: Requester
) -> datetime | None:
    """When the first group has enough slots free, if every lease ends when it is due; None if nobody can say."""
    times = []
    for group in groups:
        known = [comes_free(situation, slot, claims.get(slot.slot), who) for slot in group]
        due = sorted(when for when in known if when is not None)
        if len(due) >= asked:
            times.append(due[asked - 1])
    return min(times, default=None)


def _sorted(claims: Iterable[Claim]) -> tuple[Claim, ...]:
    return tuple(sorted(claims, key=lambda claim: (slot_number(claim.slot), claim.slot, claim.container or "")))
