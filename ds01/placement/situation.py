"""What stands on each slot at one moment: the one place that says whether a slot is free, and for whom.

The allocator refuses with these claims and `ds01 gpu status` shows them, so the two never disagree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ds01.gpus.model import Blocker, Claim, Holding, Kind, Observation, Slot, slot_number
from ds01.gpus.naming import UNKNOWN
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
    was: str | None = None  # its name at the time of the lease, where that is another

    @property
    def lost(self) -> bool:
        """Whether the hardware no longer has it, or it was not seen since its GPU does not answer."""
        return self.memory_bytes is None


def slot_states(situation: Situation) -> tuple[SlotState, ...]:
    """Return a row for every slot that is offered or leased, sorted by number, and one for each lost slot of a lease.

    A lost slot is called by its UUID and has no memory: its old name may be another slot's by now. One whose GPU does
    not answer keeps its name; the row of that lease takes the place of the GPU's own, which knows less.
    """
    holders = holders_of(situation)
    silent = {
        name
        for holder in situation.leases
        for name, uuid in zip(holder.slots, holder.uuids, strict=False)
        if uuid in holder.silent
    }
    claims = claims_on(situation)
    offered = set(offered_slots(situation))
    rows = [
        _row(slot, claims.get(slot.slot), holders.get(slot.slot))
        for slot in situation.observation.slots
        if (slot in offered or slot.slot in holders) and not (slot.uuid.startswith(UNKNOWN) and slot.slot in silent)
    ]
    rows += [row for holder in situation.leases for row in _lost_rows(situation, holder)]
    return tuple(sorted(rows, key=_order))


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
    """Return who holds each slot, by the slot's name; the lease of the container `but` does not count.

    A lease is on UUIDs. One that the hardware lost keeps no other slot from anybody.
    """
    names = {slot.uuid: slot.slot for slot in situation.observation.slots}
    found: dict[str, Holding] = {}
    for lease in sorted(situation.leases, key=lambda lease: (lease.since, lease.container)):
        if but is None or lease.container != but:
            for uuid in lease.uuids:
                if uuid in names:
                    found.setdefault(names[uuid], lease)
    return found


def names_of(situation: Situation, lease: Holding) -> tuple[str, ...]:
    """Return what the slots of a lease are called, for people."""
    names = {slot.uuid: slot.slot for slot in situation.observation.slots}
    slots = zip(lease.uuids, lease.slots, lease.first_names or lease.slots, strict=False)
    return tuple(
        names.get(uuid) or (now if uuid in lease.silent else f"gone, was {first}") for uuid, now, first in slots
    )


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
    state = "held" if holder.held else "waiting" if holder.waiting else "leased"
    about = (holder.container, holder.user, holder.since, holder.until, slot.unhealthy)
    return Claim(slot.slot, state, *about, manual=holder.by_hand)


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


def _row(slot: Slot, claim: Claim | None, holder: Holding | None) -> SlotState:
    row = (slot.slot, slot.uuid, slot.kind, slot.profile, slot.gpu, slot.memory_bytes)
    if claim is None:
        return SlotState(*row, state="free")
    first = _first_names(holder).get(slot.uuid, slot.slot) if holder is not None else slot.slot
    was = None if first == slot.slot else first
    return SlotState(*row, claim.state, claim.container, claim.user, claim.since, claim.until, claim.why, was)


def _lost_rows(situation: Situation, holder: Holding) -> Iterator[SlotState]:
    there = {slot.uuid for slot in situation.observation.slots}
    for (uuid, first), name in zip(_first_names(holder).items(), holder.slots, strict=False):
        if uuid in there:
            continue
        number = slot_number(first)
        silent = uuid in holder.silent
        yield SlotState(
            name if silent else uuid, uuid, Kind.MIG if len(number) > 1 else Kind.FULL, None, number[0], None,
            "held" if holder.held else "leased",
            holder.container, holder.user, holder.since, holder.until,
            "its GPU does not answer" if silent else "lost: the hardware no longer has it",
            None if silent and name == first else first,
        )  # fmt: skip


def _first_names(holder: Holding) -> dict[str, str]:
    """Return the names of its slots at the time of the lease, by UUID."""
    return dict(zip(holder.uuids, holder.first_names or holder.slots, strict=False))


def _order(row: SlotState) -> tuple[tuple[int, ...], bool, str]:
    """A lost slot stands after the one that has its old name now."""
    return slot_number((row.was if row.lost else None) or row.slot), row.lost, row.uuid
