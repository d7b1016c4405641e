"""Decide whether each slot is free, and for whom: the only place that does.

The allocator refuses with these claims and `ds01 gpu status` shows them, so the two never disagree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from datetime import datetime

from ds01.dataclass import dataclass
from ds01.gpus.model import ActiveLease, Blocker, Claim, GpuObservation, Slot, SlotKind, slot_sort_key
from ds01.gpus.slot_names import UNKNOWN_UUID_PREFIX
from ds01.policy.model import GpuAllocation, Reservation


@dataclass(frozen=True)
class Requester:
    """Who requests. `group` is the policy group; `container` the full name, whose current lease is to be replaced."""

    user: str
    uid: int
    group: str
    container: str | None = None


@dataclass(frozen=True)
class AllocationInput:
    """Everything that a choice depends on besides the request: hardware, leases, outside use, policy, time.

    `occupancy` is the result of `outside_use`, by slot; `uses` that of `outside_uses`, for screens. Leases of removed
    containers must not be in `leases`.
    """

    observation: GpuObservation
    occupancy: Mapping[str, Blocker]
    leases: Sequence[ActiveLease]
    now: datetime
    reservations: Sequence[Reservation] = ()
    allocation: GpuAllocation = field(default_factory=GpuAllocation)
    uses: Sequence[tuple[str, Blocker]] = ()


@dataclass(frozen=True)
class SlotState:
    """A slot and what it is used for, for `ds01 gpu status`. `state` is `free`, or the state of its claim."""

    slot: str
    uuid: str
    kind: SlotKind
    profile: str | None
    gpu: int
    memory_bytes: int | None
    state: str
    container: str | None = None
    user: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    why: str | None = None
    was: str | None = None  # the name at the time of the lease, if different

    @property
    def lost(self) -> bool:
        """Whether the hardware no longer has the slot, or its GPU does not answer."""
        return self.memory_bytes is None


def slot_states(inputs: AllocationInput) -> tuple[SlotState, ...]:
    """Return a row for every slot that is offered or leased, and one for each lost slot of a lease, sorted by number.

    A lost slot is called by its UUID and has no memory: its old name may be another slot's by now. A slot whose GPU
    does not answer keeps its name; the row of its lease replaces the GPU's own row, which knows less.
    """
    holders = lease_holders(inputs)
    silent = {
        name
        for holder in inputs.leases
        for name, uuid in zip(holder.slots, holder.uuids, strict=False)
        if uuid in holder.unobserved
    }
    claims = slot_claims(inputs)
    offered = set(offered_slots(inputs))
    rows = [
        _row(slot, claims.get(slot.slot), holders.get(slot.slot))
        for slot in inputs.observation.slots
        if (slot in offered or slot.slot in holders)
        and not (slot.uuid.startswith(UNKNOWN_UUID_PREFIX) and slot.slot in silent)
    ]
    rows += [row for holder in inputs.leases for row in _rows_of_lost_slots(inputs, holder)]
    return tuple(sorted(rows, key=_sort_key))


def offered_slots(inputs: AllocationInput) -> tuple[Slot, ...]:
    """Return the slots that the policy offers, sorted by number: no MIG instances without `enable_mig`."""
    mig = inputs.allocation.enable_mig
    slots = [slot for slot in inputs.observation.slots if mig or slot.kind is SlotKind.FULL]
    return tuple(sorted(slots, key=lambda slot: slot_sort_key(slot.slot)))


def slot_claims(inputs: AllocationInput, requester: Requester | None = None) -> dict[str, Claim]:
    """Return the claims that keep slots from `requester` (None: from anybody), by slot. Other slots are free."""
    holders = lease_holders(inputs, except_container=requester.container if requester else None)
    claims = {slot.slot: _claim(inputs, slot, holders.get(slot.slot), requester) for slot in inputs.observation.slots}
    return {name: claim for name, claim in claims.items() if claim is not None}


def lease_holders(inputs: AllocationInput, except_container: str | None = None) -> dict[str, ActiveLease]:
    """Return the lease on each slot, by the slot's name; the lease of `except_container` does not count.

    Leases are matched by UUID, so a lease on a lost slot blocks no other slot.
    """
    slot_names = {slot.uuid: slot.slot for slot in inputs.observation.slots}
    holders: dict[str, ActiveLease] = {}
    for lease in sorted(inputs.leases, key=lambda lease: (lease.since, lease.container)):
        if except_container is None or lease.container != except_container:
            for uuid in lease.uuids:
                if uuid in slot_names:
                    holders.setdefault(slot_names[uuid], lease)
    return holders


def lease_slot_names(inputs: AllocationInput, lease: ActiveLease) -> tuple[str, ...]:
    """Return the names of a lease's slots, to show."""
    slot_names = {slot.uuid: slot.slot for slot in inputs.observation.slots}
    slots = zip(lease.uuids, lease.slots, lease.original_names or lease.slots, strict=False)
    return tuple(
        slot_names.get(uuid) or (now if uuid in lease.unobserved else f"gone, was {original}")
        for uuid, now, original in slots
    )


def free_at(inputs: AllocationInput, slot: Slot, claim: Claim | None, requester: Requester) -> datetime | None:
    """Return when `requester` could have the slot: now if it has no claim, None if unknown.

    A waiter further ahead has no lease yet, so it is not known when it will give the slot back.
    """
    if slot.unhealthy or slot.slot in inputs.occupancy:
        return None
    when = inputs.now
    if claim is not None and claim.state in ("leased", "held", "waiting"):
        if claim.until is None:
            return None
        when = max(claim.until, when)
    while reservation := _blocking_reservation(inputs, slot, when, requester):
        when = reservation.end
    return when


def _claim(
    inputs: AllocationInput, slot: Slot, holder: ActiveLease | None, requester: Requester | None
) -> Claim | None:
    """Return the strongest claim: a lease, then bad health, then outside use, then a reservation."""
    if holder is not None:
        return _lease_claim(slot, holder)
    if slot.unhealthy:
        return Claim(slot.slot, "unhealthy", why=slot.unhealthy)
    blocker = inputs.occupancy.get(slot.slot)
    if blocker is not None:
        container = blocker.who if blocker.what == "container" else blocker.detail.get("container")
        return Claim(slot.slot, "busy_outside", container=container, why=describe_blocker(blocker))
    reservation = _blocking_reservation(inputs, slot, inputs.now, requester)
    if reservation is not None:
        owner = reservation.user or f"@{reservation.group}"
        since, until = reservation.start, reservation.end
        return Claim(slot.slot, "reserved", user=owner, since=since, until=until, why=reservation.reason)
    return None


def describe_blocker(blocker: Blocker) -> str:
    """Describe a blocker in a few words, with the policy key that would ignore it."""
    pid = blocker.detail.get("pid")
    words = {
        "container": f"container {blocker.who}",
        "process": f"process {blocker.who}" + (f" (pid {pid})" if pid is not None else ""),
    }.get(blocker.what, blocker.who)
    return words + (f"; {blocker.key} in the policy can ignore it" if blocker.key else "")


def _lease_claim(slot: Slot, holder: ActiveLease) -> Claim:
    state = "held" if holder.held else "waiting" if holder.waiting else "leased"
    lease_fields = (holder.container, holder.user, holder.since, holder.until, slot.unhealthy)
    return Claim(slot.slot, state, *lease_fields, manual=holder.manual)


def _blocking_reservation(
    inputs: AllocationInput, slot: Slot, when: datetime, requester: Requester | None
) -> Reservation | None:
    """Return the reservation that keeps the slot from `requester` at `when`; of several, the one that ends last.

    A reservation for the requester wins over reservations for others. One of a whole GPU covers all its instances.
    """
    slot_names = {slot.slot, str(slot.gpu)}
    active = [r for r in inputs.reservations if r.start <= when < r.end and not slot_names.isdisjoint(r.slots)]
    if requester is not None and any(is_reserved_for(reservation, requester) for reservation in active):
        return None
    return max(active, key=lambda r: (r.end, r.user or "", r.group or ""), default=None)


def is_reserved_for(reservation: Reservation, requester: Requester) -> bool:
    """Return whether the reservation is for this requester."""
    if reservation.user is not None:
        return reservation.user in (requester.user, str(requester.uid))
    return reservation.group is not None and reservation.group == requester.group


def _row(slot: Slot, claim: Claim | None, holder: ActiveLease | None) -> SlotState:
    row = (slot.slot, slot.uuid, slot.kind, slot.profile, slot.gpu, slot.memory_bytes)
    if claim is None:
        return SlotState(*row, state="free")
    original = _original_names(holder).get(slot.uuid, slot.slot) if holder is not None else slot.slot
    was = None if original == slot.slot else original
    return SlotState(*row, claim.state, claim.container, claim.user, claim.since, claim.until, claim.why, was)


def _rows_of_lost_slots(inputs: AllocationInput, holder: ActiveLease) -> Iterator[SlotState]:
    present_uuids = {slot.uuid for slot in inputs.observation.slots}
    for (uuid, original), name in zip(_original_names(holder).items(), holder.slots, strict=False):
        if uuid in present_uuids:
            continue
        number = slot_sort_key(original)
        silent = uuid in holder.unobserved
        yield SlotState(
            name if silent else uuid, uuid, SlotKind.MIG if len(number) > 1 else SlotKind.FULL, None, number[0], None,
            "held" if holder.held else "leased",
            holder.container, holder.user, holder.since, holder.until,
            "its GPU does not answer" if silent else "lost: the hardware no longer has it",
            None if silent and name == original else original,
        )  # fmt: skip


def _original_names(holder: ActiveLease) -> dict[str, str]:
    """Return the names of the lease's slots when it began, by UUID."""
    return dict(zip(holder.uuids, holder.original_names or holder.slots, strict=False))


def _sort_key(row: SlotState) -> tuple[tuple[int, ...], bool, str]:
    """Return a key that sorts a lost slot after the slot that has its old name now."""
    return slot_sort_key((row.was if row.lost else None) or row.slot), row.lost, row.uuid
