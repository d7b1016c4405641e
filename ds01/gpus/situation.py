"""What stands on each slot at one moment: the one place that says whether a slot is free, and for whom.

The allocator refuses with these claims and `ds01 gpu status` shows them, so the two never disagree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import zip_longest

from ds01.gpus.model import Blocker, Claim, Holding, Kind, Observation, Slot, slot_number
from ds01.policy.model import GpuAllocation, Reservation


@dataclass(frozen=True)
class Requester:
    """Who asks. `group` is the policy's group; `container` the full name, whose present lease the answer replaces."""

    user: str
    uid: int
    group: str
    container: str | None = None


@dataclass(frozen=True)
class Situation:
    """All that a choice depends on besides the request: what is there, who has it, and what the policy says.

    `occupancy` is what `outside_use` found, by slot. Leases of removed containers do not belong in `leases`.
    """

    observation: Observation
    occupancy: Mapping[str, Blocker]
    leases: Sequence[Holding]
    now: datetime
    reservations: Sequence[Reservation] = ()
    allocation: GpuAllocation = field(default_factory=GpuAllocation)


@dataclass(frozen=True)
class SlotState:
    """A slot and what stands on it, for `ds01 gpu status`. `state` is `free`, or the claim's."""

    slot: str
    uuid: str
    kind: Kind
    profile: str | None
    gpu: int
    memory_bytes: int | None
    state: str
    container: str | None = None
    user: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    why: str | None = None


def slot_states(situation: Situation) -> tuple[SlotState, ...]:
    """Every slot that is offered or leased, sorted by number; leased ones that the hardware lost have no memory."""
    holders = holders_of(situation)
    claims = claims_on(situation)
    offered = set(offered_slots(situation))
    rows = [
        _row(slot, claims.get(slot.slot))
        for slot in situation.observation.slots
        if slot in offered or slot.slot in holders
    ]
    there = {slot.slot for slot in situation.observation.slots}
    rows += [_lost_row(name, holder) for name, holder in holders.items() if name not in there]
    return tuple(sorted(rows, key=lambda row: (slot_number(row.slot), row.slot)))


def offered_slots(situation: Situation) -> tuple[Slot, ...]:
    """The slots that the policy offers, sorted by number: without `enable_mig` no instance is one."""
    mig = situation.allocation.enable_mig
    slots = [slot for slot in situation.observation.slots if mig or slot.kind is Kind.FULL]
    return tuple(sorted(slots, key=lambda slot: slot_number(slot.slot)))


def claims_on(situation: Situation, who: Requester | None = None) -> dict[str, Claim]:
    """What keeps each slot from `who` (None: from anybody), by slot; a slot that is not in the answer is free."""
    holders = holders_of(situation, but=who.container if who else None)
    claims = {slot.slot: _claim(situation, slot, holders.get(slot.slot), who) for slot in situation.observation.slots}
    return {name: claim for name, claim in claims.items() if claim is not None}


def holders_of(situation: Situation, but: str | None = None) -> dict[str, Holding]:
    """Who holds each slot, by slot; the lease of the container `but` does not count.

    A lease is on a UUID. If the hardware lost it, the lease keeps the name, and no new slot is handed out under it.
    """
    names = {slot.uuid: slot.slot for slot in situation.observation.slots}
    by_uuid: dict[str, Holding] = {}
    by_name: dict[str, Holding] = {}
    for lease in sorted(situation.leases, key=lambda lease: (lease.since, lease.container)):
        if but is not None and lease.container == but:
            continue
        for name, uuid in zip_longest(lease.slots, lease.uuids):
            if uuid in names:
                by_uuid.setdefault(names[uuid], lease)
            elif name is not None:
                by_name.setdefault(name, lease)
    return by_name | by_uuid


def comes_free(situation: Situation, slot: Slot, claim: Claim | None, who: Requester) -> datetime | None:
    """Return when `who` could have the slot: now without a claim, None if that is not known.

    A waiter further ahead has no lease yet, so nobody knows when it will give the slot back.
    """
    if slot.unhealthy or slot.slot in situation.occupancy:
        return None
    when = situation.now
    if claim is not None and claim.state in ("leased", "held", "waiting"):
        if claim.until is None:
            return None
        when = max(claim.until, when)
    while reservation := _reserved(situation, slot, when, who):
        when = reservation.end
    return when


def _claim(situation: Situation, slot: Slot, holder: Holding | None, who: Requester | None) -> Claim | None:
    """The strongest claim: a lease, then what is wrong with the slot, then others' use, then a reservation."""
    if holder is not None:
        return _lease_claim(slot, holder)
    if slot.unhealthy:
        return Claim(slot.slot, "unhealthy", why=slot.unhealthy)
    blocker = situation.occupancy.get(slot.slot)
    if blocker is not None:
        container = blocker.who if blocker.what == "container" else blocker.detail.get("container")
        return Claim(slot.slot, "busy_outside", container=container, why=describe(blocker))
    reservation = _reserved(situation, slot, situation.now, who)
    if reservation is not None:
        owner = reservation.user or f"@{reservation.group}"
        since, until = reservation.start, reservation.end
        return Claim(slot.slot, "reserved", user=owner, since=since, until=until, why=reservation.reason)
    return None


def describe(blocker: Blocker) -> str:
    """A blocker in a few words, with the policy's key that would ignore it."""
    pid = blocker.detail.get("pid")
    words = {
        "container": f"container {blocker.who}",
        "process": f"process {blocker.who}" + (f" (pid {pid})" if pid is not None else ""),
    }.get(blocker.what, blocker.who)
    return words + (f"; {blocker.key} in the policy can ignore it" if blocker.key else "")


def _lease_claim(slot: Slot, holder: Holding) -> Claim:
    why = slot.unhealthy
    if slot.uuid not in holder.uuids:
        why = "the lease is on hardware that is gone, and keeps the name"
    state = "held" if holder.held else "waiting" if holder.waiting else "leased"
    return Claim(slot.slot, state, holder.container, holder.user, holder.since, holder.until, why)


def _reserved(situation: Situation, slot: Slot, when: datetime, who: Requester | None) -> Reservation | None:
    """The reservation that keeps the slot from `who` at `when`; of several the one that lasts longest.

    One for `who` wins over one for others. A reservation of a whole GPU is one of all its instances.
    """
    names = {slot.slot, str(slot.gpu)}
    active = [r for r in situation.reservations if r.start <= when < r.end and not names.isdisjoint(r.slots)]
    if who is not None and any(is_for(reservation, who) for reservation in active):
        return None
    return max(active, key=lambda r: (r.end, r.user or "", r.group or ""), default=None)


def is_for(reservation: Reservation, who: Requester) -> bool:
    """Return whether the reservation is for this requester."""
    if reservation.user is not None:
        return reservation.user in (who.user, str(who.uid))
    return reservation.group is not None and reservation.group == who.group


def _row(slot: Slot, claim: Claim | None) -> SlotState:
    row = (slot.slot, slot.uuid, slot.kind, slot.profile, slot.gpu, slot.memory_bytes)
    if claim is None:
        return SlotState(*row, state="free")
    return SlotState(*row, claim.state, claim.container, claim.user, claim.since, claim.until, claim.why)


def _lost_row(name: str, holder: Holding) -> SlotState:
    number = slot_number(name)
    kind = Kind.MIG if len(number) > 1 else Kind.FULL
    uuid = dict(zip(holder.slots, holder.uuids, strict=False)).get(name, "")
    state = "held" if holder.held else "leased"
    return SlotState(
        name, uuid, kind, None, number[0], None, state, holder.container, holder.user, holder.since, holder.until,
        why="lost: the hardware no longer has it",
    )  # fmt: skip
