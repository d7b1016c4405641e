"""The allocator against brute force: all subsets of a few slots, checked by the rules of the design."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from ds01.gpus.model import ActiveLease, Blocker, Choice, GpuRequest, GpuType, Refusal, Rule, Slot, SlotKind
from ds01.placement.allocation_input import AllocationInput, Requester, slot_states
from ds01.placement.allocator import choose_slots
from ds01.policy.model import GpuAllocation, Limits, Placement, PreferredKind, Reservation
from tests.unit.gpus.factories import NOW, observe_gpus

ME = Requester("me", 1, "mine", "new._.1")
PEOPLE = [("me", 1), ("you", 2), ("they", 3)]
HOUR = timedelta(hours=1)
SERVERS = [
    "none", "1xA100", "3xA100", "1xA100:3x2g.10gb", "1xA100,1xA100:3x2g.10gb",
    "1xA100:1x3g.20gb+2x1g.5gb,1xA100:2x3g.20gb", "2xA100:2x2g.10gb",
]  # fmt: skip
number = st.one_of(st.none(), st.integers(0, 4))


@dataclass(frozen=True)
class Case:
    situation: AllocationInput
    request: GpuRequest
    limits: Limits


@st.composite
def cases(draw: st.DrawFn) -> Case:
    seen = observe_gpus(draw(st.sampled_from(SERVERS)))
    slots = [
        replace(slot, unhealthy="sick") if draw(st.integers(0, 9)) == 0 else slot for slot in seen.slots
    ]  # fmt: skip
    gpus = [replace(gpu, memory_used_bytes=draw(st.integers(0, 4)) * gpu.memory_bytes // 4) for gpu in seen.gpus]
    seen = replace(seen, slots=tuple(slots), gpus=tuple(gpus))

    leases = []
    for place, slot in enumerate(slots):
        if draw(st.integers(0, 2)):
            continue
        user, uid = draw(st.sampled_from(PEOPLE))
        uuid = draw(st.sampled_from([slot.uuid] * 4 + [f"MIG-gone-{place}"]))
        until = draw(st.sampled_from([None, NOW - HOUR, NOW + HOUR, NOW + 9 * HOUR]))
        lease = ActiveLease(
            f"c{place}._.{uid}", user, uid, (slot.slot,), (uuid,), draw(st.sampled_from([10, 50])), NOW, until
        )
        leases.append(replace(lease, held=draw(st.booleans())))
    occupancy = {slot.slot: Blocker("process", "x") for slot in slots if draw(st.integers(0, 5)) == 0}
    reservations = [
        Reservation((slot.slot,), NOW + start * HOUR, NOW + (start + 2) * HOUR, **draw(st.sampled_from(WHO)))
        for slot in slots
        if draw(st.integers(0, 3)) == 0
        for start in [draw(st.sampled_from([-2, -1, 0, 1]))]
    ]
    allocation = GpuAllocation(
        enable_mig=draw(st.integers(0, 5)) > 0,
        placement=draw(st.sampled_from(Placement)),
        prefer=draw(st.sampled_from(PreferredKind)),
    )
    situation = AllocationInput(seen, occupancy, leases, NOW, reservations, allocation)

    uuids = [slot.uuid for slot in slots] + ["MIG-gone"]
    request = draw(
        st.one_of(
            st.builds(
                GpuRequest,
                count=number,
                type=st.sampled_from(GpuType),
                profile=st.sampled_from([None, None, "2g.10gb", "3g.20gb"]),
            ),
            st.builds(GpuRequest, uuids=st.lists(st.sampled_from(uuids), max_size=3, unique=True).map(tuple)),
        )
    )
    limits = Limits(
        max_mig_instances=draw(number),
        max_gpus_per_container=draw(number),
        allow_full_gpu=draw(st.booleans()),
        priority=draw(st.sampled_from([10, 50])),
    )
    return Case(situation, request, limits)


WHO: list[dict[str, str]] = [{"user": "me"}, {"user": "you"}, {"group": "mine"}, {"group": "theirs"}]


def legal(case: Case, slots: tuple[Slot, ...]) -> bool:
    """Whether these slots may be given, said as plainly as possible."""
    at, limits, request = case.situation, case.limits, case.request
    if limits.max_gpus_per_container is not None and len(slots) > limits.max_gpus_per_container:
        return False
    mine = sum(len(lease.slots) for lease in at.leases if lease.uid == ME.uid)
    if limits.max_mig_instances is not None and mine + len(slots) > limits.max_mig_instances:
        return False
    if request.uuids is not None:
        if {slot.uuid for slot in slots} != set(request.uuids):
            return False
    elif len({(slot.kind, slot.profile) for slot in slots}) != 1:
        return False
    return all(may_have(case, slot) for slot in slots)


def may_have(case: Case, slot: Slot) -> bool:
    at, limits, request = case.situation, case.limits, case.request
    if any(slot.uuid in lease.uuids for lease in at.leases):
        return False
    for reservation in at.reservations:
        others = reservation.user not in (None, "me") or reservation.group not in (None, "mine")
        if slot.slot in reservation.slots and reservation.start <= NOW < reservation.end and others:
            return False
    if request.uuids is None:
        if request.type is not GpuType.ANY and request.type.value != slot.kind.value:
            return False
        if request.profile is not None and request.profile != slot.profile:
            return False
    whole = slot.kind is SlotKind.FULL
    return (
        slot.unhealthy is None
        and slot.slot not in at.occupancy
        and (limits.allow_full_gpu if whole else at.allocation.enable_mig)
    )


def asked(request: GpuRequest) -> int:
    if request.uuids is not None:
        return len(request.uuids)
    return 1 if request.count is None else request.count


def legal_choices(case: Case) -> list[tuple[Slot, ...]]:
    return [some for some in combinations(case.situation.observation.slots, asked(case.request)) if legal(case, some)]


@given(cases())
@settings(max_examples=400, deadline=None)
def test_choice_is_legal_and_refusal_justified(case: Case) -> None:
    answer = choose_slots(case.situation, case.request, ME, case.limits)
    if isinstance(answer, Refusal):
        assert legal_choices(case) == []
    elif answer.slots:
        assert len(answer.slots) == asked(case.request)
        assert legal(case, answer.slots)
    else:
        nothing_said = case.request == GpuRequest()
        assert asked(case.request) == 0 or (nothing_said and answer.note is not None and legal_choices(case) == [])


@given(cases())
@settings(max_examples=200, deadline=None)
def test_one_slot_is_of_the_best_kind_profile_and_score(case: Case) -> None:
    answer = choose_slots(case.situation, case.request, ME, case.limits)
    if isinstance(answer, Refusal) or len(answer.slots) != 1:
        return
    best = min((slot for (slot,) in legal_choices(case)), key=lambda slot: rank(case, slot))
    assert answer.slots == (best,)


def rank(case: Case, slot: Slot) -> tuple[bool, int, int, list[int]]:
    at = case.situation
    there = {slot.uuid: slot for slot in at.observation.slots}
    beside = [
        lease.priority
        for lease in at.leases
        if lease.uuids[0] in there and there[lease.uuids[0]].gpu == slot.gpu
    ]  # fmt: skip
    term = 100 * abs(max(beside) - case.limits.priority) if beside else 0
    sign = -1 if at.allocation.placement is Placement.PACK else 1
    gpu = next(gpu for gpu in at.observation.gpus if gpu.index == slot.gpu)
    score = term + sign * 10 * len(beside) + 100 * (gpu.memory_used_bytes or 0) // gpu.memory_bytes
    return (
        slot.kind.value != at.allocation.prefer.value,
        slot.slices,
        score,
        [int(part) for part in slot.slot.split(":")],
    )


@given(cases(), st.integers(0, 1000))
@settings(max_examples=200, deadline=None)
def test_the_same_answer_for_the_same_input_in_any_order(case: Case, seed: int) -> None:
    at, mix = case.situation, random.Random(seed)

    def shuffled(items: object) -> list:  # type: ignore[type-arg]
        return mix.sample(list(items), len(list(items)))  # type: ignore[call-overload]

    mixed = replace(
        at,
        observation=replace(
            at.observation,
            slots=tuple(shuffled(at.observation.slots)),
            gpus=tuple(shuffled(at.observation.gpus)),
        ),
        occupancy=dict(shuffled(at.occupancy.items())),
        leases=shuffled(at.leases),
        reservations=shuffled(at.reservations),
    )
    first = choose_slots(at, case.request, ME, case.limits)
    assert choose_slots(at, case.request, ME, case.limits) == first
    assert choose_slots(mixed, case.request, ME, case.limits) == first
    assert slot_states(mixed) == slot_states(at)


@given(cases())
@settings(max_examples=200, deadline=None)
def test_a_refusal_is_honest(case: Case) -> None:
    """More quota alone, where only it stood in the way, helps; waiting can help exactly where it says so."""
    answer = choose_slots(case.situation, case.request, ME, case.limits)
    if not isinstance(answer, Refusal):
        return
    assert answer.temporary is (answer.rule is Rule.NONE_FREE)
    assert answer.asked == asked(case.request)
    if answer.rule is Rule.NONE_FREE:
        assert answer.claims
        empty = replace(case.situation, leases=(), occupancy={}, reservations=())
        well = tuple(replace(slot, unhealthy=None) for slot in empty.observation.slots)
        empty = replace(empty, observation=replace(empty.observation, slots=well))
        assert isinstance(choose_slots(empty, case.request, ME, case.limits), Choice)
        assert answer.earliest is None or answer.earliest >= NOW
    if answer.rule in (Rule.QUOTA, Rule.PER_CONTAINER):
        assert answer.limit is not None
        assert answer.asked + (answer.used or 0) > answer.limit


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_no_history_gives_a_slot_twice_or_exceeds_a_quota(data: st.DataObject) -> None:
    seen = observe_gpus(data.draw(st.sampled_from(SERVERS[1:])))
    quotas = {uid: data.draw(st.integers(0, 3)) for _, uid in PEOPLE}
    leases: list[ActiveLease] = []
    for step in range(data.draw(st.integers(1, 12))):
        if leases and data.draw(st.sampled_from([True, False])):
            leases.remove(data.draw(st.sampled_from(leases)))
            continue
        user, uid = data.draw(st.sampled_from(PEOPLE))
        who = Requester(user, uid, "mine", f"c{step}._.{uid}")
        limits = Limits(max_mig_instances=quotas[uid], max_gpus_per_container=None)
        request = GpuRequest(count=data.draw(st.sampled_from([None, 1, 2])))
        answer = choose_slots(AllocationInput(seen, {}, leases, NOW), request, who, limits)
        if isinstance(answer, Choice) and answer.slots:
            names, uuids = zip(*((slot.slot, slot.uuid) for slot in answer.slots), strict=True)
            leases.append(ActiveLease(who.container or "", user, uid, names, uuids, 10, NOW))
        given = [uuid for lease in leases for uuid in lease.uuids]
        assert len(given) == len(set(given))
        for uid, quota in quotas.items():
            assert sum(len(lease.slots) for lease in leases if lease.uid == uid) <= quota
