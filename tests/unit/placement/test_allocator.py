"""Every rule of the allocator."""

from __future__ import annotations

import random
import time
from dataclasses import replace

import pytest

from ds01.gpus.model import Blocker, Choice, GpuObservation, GpuRequest, GpuType, Refusal, Rule
from ds01.placement.allocation_input import Requester
from ds01.placement.allocator import check_container_count, choose_slots, quota_used
from ds01.policy.model import GpuAllocation, Limits, Placement, PreferredKind, Reservation
from tests.unit.gpus.factories import (
    ALICE_REQUESTER,
    HOUR,
    NOW,
    PLENTY,
    active_lease,
    allocation_input,
    lost_lease,
    observe_gpus,
    slot_of,
)

MIG = "1xA100:3x2g.10gb"
BUSY = Blocker("process", "python3", "outside.ignore_processes", {"pid": 7})


def names(answer: Choice | Refusal) -> list[str]:
    assert isinstance(answer, Choice), answer
    return [slot.slot for slot in answer.slots]


def refusal(answer: Choice | Refusal) -> Refusal:
    assert isinstance(answer, Refusal), answer
    return answer


def test_unspecified_request_gets_one_slot() -> None:
    assert names(choose_slots(allocation_input(MIG), GpuRequest(), ALICE_REQUESTER, Limits())) == ["0:0"]


@pytest.mark.parametrize("limits", [Limits(max_mig_instances=0), Limits(max_gpus_per_container=0)])
def test_unspecified_request_without_quota_is_cpu_only(limits: Limits) -> None:
    assert choose_slots(allocation_input(MIG), GpuRequest(), ALICE_REQUESTER, limits) == Choice((), note="quota_zero")


def test_unspecified_request_without_gpus_is_cpu_only() -> None:
    assert choose_slots(allocation_input("none"), GpuRequest(), ALICE_REQUESTER, Limits()) == Choice((), note="no_gpus")
    hidden = allocation_input(MIG, allocation=GpuAllocation(enable_mig=False))
    assert choose_slots(hidden, GpuRequest(), ALICE_REQUESTER, Limits()) == Choice((), note="no_gpus")


def test_unspecified_request_is_refused_when_full() -> None:
    gpus = observe_gpus("1xA100")
    answer = refusal(
        choose_slots(allocation_input(gpus, [active_lease(gpus, "0")]), GpuRequest(), ALICE_REQUESTER, Limits())
    )
    assert answer.rule is Rule.NONE_FREE


def test_zero_is_cpu_only() -> None:
    assert choose_slots(allocation_input(MIG), GpuRequest(count=0), ALICE_REQUESTER, Limits()) == Choice(())


def test_explicit_type_is_refused_with_quota_zero() -> None:
    answer = choose_slots(
        allocation_input(MIG), GpuRequest(type=GpuType.MIG), ALICE_REQUESTER, Limits(max_mig_instances=0)
    )
    assert refusal(answer).rule is Rule.QUOTA


# The order of refusal


def test_cap_per_container_is_checked_before_the_quota() -> None:
    gpus = observe_gpus(MIG)
    taken = allocation_input(gpus, [active_lease(gpus, "0:0", user="alice", uid=1001)])
    limits = Limits(max_gpus_per_container=1, max_mig_instances=2)
    assert names(choose_slots(taken, GpuRequest(count=1), ALICE_REQUESTER, limits)) == ["0:1"]

    answer = refusal(choose_slots(taken, GpuRequest(count=5), ALICE_REQUESTER, limits))
    assert (answer.rule, answer.limit, answer.asked, answer.temporary) == (Rule.PER_CONTAINER, 1, 5, False)


def test_whole_gpu_rule_is_checked_before_the_quota() -> None:
    limits = Limits(allow_full_gpu=False, max_mig_instances=0)
    answer = refusal(
        choose_slots(allocation_input("1xA100"), GpuRequest(count=1, type=GpuType.FULL), ALICE_REQUESTER, limits)
    )
    assert (answer.rule, answer.temporary) == (Rule.FULL_GPU, False)


def test_quota_is_checked_before_the_hardware() -> None:
    answer = refusal(
        choose_slots(allocation_input("none"), GpuRequest(count=1), ALICE_REQUESTER, Limits(max_mig_instances=0))
    )
    assert answer.rule is Rule.QUOTA


def test_quota_refusal_has_limit_use_and_claims() -> None:
    gpus = observe_gpus(MIG)
    leases = [active_lease(gpus, "0:2", user="alice", uid=1001, held=True, until=NOW + HOUR), active_lease(gpus, "0:0")]
    answer = refusal(
        choose_slots(allocation_input(gpus, leases), GpuRequest(count=1), ALICE_REQUESTER, Limits(max_mig_instances=1))
    )
    assert (answer.rule, answer.limit, answer.used, answer.asked) == (Rule.QUOTA, 1, 1, 1)
    assert answer.temporary is False
    assert [(claim.slot, claim.state, claim.until) for claim in answer.claims] == [("0:2", "held", NOW + HOUR)]


def test_quota_counts_slots_by_uid() -> None:
    gpus = observe_gpus(MIG)
    renamed = active_lease(gpus, "0:0", "0:1", user="alice-before-her-wedding", uid=1001)
    assert quota_used([renamed, active_lease(gpus, "0:2", user="alice", uid=1002)], 1001) == 2
    answer = choose_slots(
        allocation_input(gpus, [renamed]), GpuRequest(count=1), ALICE_REQUESTER, Limits(max_mig_instances=2)
    )
    assert refusal(answer).rule is Rule.QUOTA


def test_more_than_the_hardware_has_is_refused_permanently() -> None:
    answer = refusal(choose_slots(allocation_input(MIG), GpuRequest(count=4), ALICE_REQUESTER, PLENTY))
    assert (answer.rule, answer.limit, answer.asked, answer.temporary) == (Rule.NO_GPUS, 3, 4, False)


def test_all_slots_of_a_request_have_one_profile() -> None:
    answer = choose_slots(allocation_input("1xA100:2x1g.5gb+1x2g.10gb"), GpuRequest(count=3), ALICE_REQUESTER, PLENTY)
    assert (refusal(answer).rule, refusal(answer).limit) == (Rule.NO_GPUS, 2)


def test_smallest_profile_with_enough_free_slots_is_chosen() -> None:
    gpus = observe_gpus("1xA100:1x3g.20gb+2x2g.10gb")
    assert names(choose_slots(allocation_input(gpus), GpuRequest(), ALICE_REQUESTER, Limits())) == ["0:1"]
    assert names(choose_slots(allocation_input(gpus), GpuRequest(count=2), ALICE_REQUESTER, PLENTY)) == ["0:1", "0:2"]
    taken = allocation_input(gpus, [active_lease(gpus, "0:1"), active_lease(gpus, "0:2")])
    assert names(choose_slots(taken, GpuRequest(), ALICE_REQUESTER, Limits())) == ["0:0"]


def test_requested_profile_is_matched_exactly() -> None:
    gpus = observe_gpus("1xA100:1x3g.20gb+2x2g.10gb")
    wanted = GpuRequest(profile="3G.20GB")
    assert names(choose_slots(allocation_input(gpus), wanted, ALICE_REQUESTER, Limits())) == ["0:0"]
    answer = refusal(
        choose_slots(allocation_input(gpus, [active_lease(gpus, "0:0")]), wanted, ALICE_REQUESTER, Limits())
    )
    assert (answer.rule, len(answer.claims)) == (Rule.NONE_FREE, 1)
    assert (
        refusal(choose_slots(allocation_input(gpus), GpuRequest(profile="7g.40gb"), ALICE_REQUESTER, Limits())).rule
        is Rule.NO_GPUS
    )


def test_refusal_names_holders_and_earliest_end() -> None:
    gpus = observe_gpus("12xA100")
    leases = [active_lease(gpus, str(index), user=f"u{index}", uid=2000 + index, until=NOW + index * HOUR)
              for index in range(3, 12)]  # fmt: skip
    taken = allocation_input(gpus, leases, occupancy=dict.fromkeys("012", BUSY))
    answer = refusal(choose_slots(taken, GpuRequest(count=1), ALICE_REQUESTER, Limits()))
    assert (answer.rule, answer.temporary) == (Rule.NONE_FREE, True)
    assert [claim.slot for claim in answer.claims] == [str(index) for index in range(12)]
    assert answer.claims[0].state == "busy_outside"
    assert "python3 (pid 7); outside.ignore_processes" in (answer.claims[0].why or "")
    assert (answer.claims[3].user, answer.claims[3].until) == ("u3", NOW + 3 * HOUR)
    assert answer.earliest == NOW + 3 * HOUR


def test_earliest_time_waits_for_all_requested_slots() -> None:
    gpus = observe_gpus("3xA100")
    leases = [active_lease(gpus, "0", until=NOW + HOUR), active_lease(gpus, "1", until=None),
              active_lease(gpus, "2", until=NOW + 5 * HOUR)]  # fmt: skip
    assert (
        refusal(choose_slots(allocation_input(gpus, leases), GpuRequest(count=2), ALICE_REQUESTER, PLENTY)).earliest
        == NOW + 5 * HOUR
    )
    assert (
        refusal(choose_slots(allocation_input(gpus, leases), GpuRequest(count=3), ALICE_REQUESTER, PLENTY)).earliest
        is None
    )


# Whole GPUs and instances


def test_whole_gpu_needs_permission() -> None:
    limits = Limits(allow_full_gpu=False)
    mixed = allocation_input("1xA100,1xA100:3x2g.10gb", allocation=GpuAllocation(prefer=PreferredKind.FULL))
    assert names(choose_slots(mixed, GpuRequest(), ALICE_REQUESTER, limits)) == ["1:0"]
    assert (
        refusal(choose_slots(allocation_input("1xA100"), GpuRequest(), ALICE_REQUESTER, limits)).rule is Rule.FULL_GPU
    )


def test_preferred_kind_applies_only_to_type_any() -> None:
    gpus = observe_gpus("1xA100,1xA100:3x2g.10gb")
    for prefer, first in ((PreferredKind.MIG, "1:0"), (PreferredKind.FULL, "0")):
        at = allocation_input(gpus, allocation=GpuAllocation(prefer=prefer))
        assert names(choose_slots(at, GpuRequest(), ALICE_REQUESTER, Limits())) == [first]
        assert names(choose_slots(at, GpuRequest(type=GpuType.FULL), ALICE_REQUESTER, Limits())) == ["0"]
        assert names(choose_slots(at, GpuRequest(type=GpuType.MIG), ALICE_REQUESTER, Limits())) == ["1:0"]
    taken = allocation_input(gpus, [active_lease(gpus, "1:0"), active_lease(gpus, "1:1"), active_lease(gpus, "1:2")])
    assert names(choose_slots(taken, GpuRequest(), ALICE_REQUESTER, Limits())) == ["0"]


def test_without_enable_mig_no_instance_is_offered() -> None:
    at = allocation_input("1xA100:3x2g.10gb,1xA100", allocation=GpuAllocation(enable_mig=False))
    assert names(choose_slots(at, GpuRequest(), ALICE_REQUESTER, Limits())) == ["1"]
    assert refusal(choose_slots(at, GpuRequest(type=GpuType.MIG), ALICE_REQUESTER, Limits())).rule is Rule.NO_GPUS


# Which slots are chosen


def test_slots_are_compared_as_numbers() -> None:
    gpus = observe_gpus("12xA100")
    taken = allocation_input(gpus, [active_lease(gpus, "0", uid=5), active_lease(gpus, "1", uid=6)])
    assert names(choose_slots(taken, GpuRequest(), ALICE_REQUESTER, Limits())) == ["2"]


def test_leases_spread_and_pack() -> None:
    gpus = observe_gpus("2xA100:3x2g.10gb")
    leases = [active_lease(gpus, "0:0", priority=10)]
    assert names(choose_slots(allocation_input(gpus, leases), GpuRequest(), ALICE_REQUESTER, Limits())) == ["1:0"]
    packed = allocation_input(gpus, leases, allocation=GpuAllocation(placement=Placement.PACK))
    assert names(choose_slots(packed, GpuRequest(), ALICE_REQUESTER, Limits())) == ["0:1"]


def test_the_score_is_updated_between_the_slots_of_one_request() -> None:
    gpus = observe_gpus("2xA100:3x2g.10gb")
    assert names(choose_slots(allocation_input(gpus), GpuRequest(count=3), ALICE_REQUESTER, PLENTY)) == [
        "0:0",
        "0:1",
        "1:0",
    ]
    packed = allocation_input(gpus, allocation=GpuAllocation(placement=Placement.PACK))
    assert names(choose_slots(packed, GpuRequest(count=3), ALICE_REQUESTER, PLENTY)) == ["0:0", "0:1", "0:2"]


def test_similar_priorities_stay_together() -> None:
    gpus = observe_gpus("2xA100:3x2g.10gb")
    leases = [active_lease(gpus, "0:0", uid=5, priority=90), active_lease(gpus, "0:1", uid=6, priority=10),
              active_lease(gpus, "1:0", uid=7, priority=12), active_lease(gpus, "1:1", uid=8, priority=12)]  # fmt: skip
    assert names(choose_slots(allocation_input(gpus, leases), GpuRequest(), ALICE_REQUESTER, Limits(priority=10))) == [
        "1:2"
    ]
    assert names(choose_slots(allocation_input(gpus, leases), GpuRequest(), ALICE_REQUESTER, Limits(priority=90))) == [
        "0:2"
    ]


def test_memory_in_use_counts() -> None:
    gpus = observe_gpus("2xA100")
    full, empty = gpus.gpus
    gpus = replace(gpus, gpus=(replace(full, memory_used_bytes=full.memory_bytes // 4), empty))
    assert names(choose_slots(allocation_input(gpus), GpuRequest(), ALICE_REQUESTER, Limits())) == ["1"]


# Slots that are never leased


def test_unavailable_slots_are_never_chosen() -> None:
    gpus = observe_gpus("4xA100")
    slots = [replace(slot, unhealthy="the GPU is lost") if slot.slot == "1" else slot for slot in gpus.slots]
    at = allocation_input(replace(gpus, slots=tuple(slots)), [active_lease(gpus, "0")], occupancy={"2": BUSY})
    assert names(choose_slots(at, GpuRequest(), ALICE_REQUESTER, Limits())) == ["3"]
    answer = refusal(choose_slots(at, GpuRequest(count=2), ALICE_REQUESTER, PLENTY))
    assert [claim.state for claim in answer.claims] == ["leased", "unhealthy", "busy_outside"]


def test_reservation_keeps_slots_for_its_user_or_group() -> None:
    gpus = observe_gpus("2xA100")
    theirs = Reservation(("0",), NOW, NOW + HOUR, group="researchers", reason="deadline")
    at = allocation_input(gpus, reservations=[theirs])
    assert names(choose_slots(at, GpuRequest(), ALICE_REQUESTER, Limits())) == ["1"]
    assert names(choose_slots(at, GpuRequest(), replace(ALICE_REQUESTER, group="researchers"), Limits())) == ["0"]

    answer = refusal(choose_slots(at, GpuRequest(uuids=(gpus.slots[0].uuid,)), ALICE_REQUESTER, Limits()))
    assert answer.claims[0].state == "reserved"
    assert (answer.claims[0].user, answer.earliest) == ("@researchers", NOW + HOUR)


@pytest.mark.parametrize(("start", "end"), [(NOW + HOUR, NOW + 2 * HOUR), (NOW - HOUR, NOW)])
def test_reservation_outside_its_period_has_no_effect(start: object, end: object) -> None:
    early = Reservation(("0",), start, end, user="carol")  # type: ignore[arg-type]
    assert names(
        choose_slots(allocation_input("1xA100", reservations=[early]), GpuRequest(), ALICE_REQUESTER, Limits())
    ) == ["0"]


def test_reservation_of_a_gpu_covers_its_instances() -> None:
    reserved = Reservation(("0",), NOW, NOW + HOUR, user="carol")
    at = allocation_input("2xA100:3x2g.10gb", reservations=[reserved])
    assert names(choose_slots(at, GpuRequest(), ALICE_REQUESTER, Limits())) == ["1:0"]
    assert names(choose_slots(at, GpuRequest(), Requester("carol", 1003, "students"), Limits())) == ["0:0"]


def test_slot_is_free_after_a_reservation_that_follows_its_lease() -> None:
    gpus = observe_gpus("1xA100")
    reserved = Reservation(("0",), NOW + HOUR, NOW + 3 * HOUR, user="carol")
    at = allocation_input(gpus, [active_lease(gpus, "0", until=NOW + 2 * HOUR)], reservations=[reserved])
    assert refusal(choose_slots(at, GpuRequest(), ALICE_REQUESTER, Limits())).earliest == NOW + 3 * HOUR


def test_refusal_lists_free_slots_of_other_kinds() -> None:
    gpus = observe_gpus("1xA100,1xA100:1x2g.10gb")
    two = "1xA100,1xA100:2x2g.10gb"
    leased = allocation_input(two, [active_lease(observe_gpus(two), "1:0")])
    answer = refusal(choose_slots(leased, GpuRequest(count=2), ALICE_REQUESTER, PLENTY))
    assert [ref.slot for ref in answer.free] == ["0", "1:1"]
    mig_only = replace(PLENTY, allow_full_gpu=False)
    at = allocation_input(gpus, [active_lease(gpus, "1:0")])
    assert refusal(choose_slots(at, GpuRequest(count=1), ALICE_REQUESTER, mig_only)).free == ()
    whole = refusal(choose_slots(at, GpuRequest(1, profile="2g.10gb"), ALICE_REQUESTER, PLENTY))
    assert [ref.slot for ref in whole.free] == ["0"]


# Leases on lost slots


def test_lease_on_a_lost_slot_blocks_no_other_slot() -> None:
    at = allocation_input("1xA100:3x2g.10gb", [lost_lease("0:0")])
    assert names(choose_slots(at, GpuRequest(count=3), ALICE_REQUESTER, PLENTY)) == ["0:0", "0:1", "0:2"]


def test_quota_refusal_shows_the_old_name_of_a_lost_slot() -> None:
    gpus = observe_gpus(MIG)
    mine = [lost_lease("0:0", user="alice", uid=1001), active_lease(gpus, "0:1", user="alice", uid=1001)]
    moved = replace(mine[1], slots=("0:0",), original_names=("0:0",))
    answer = refusal(
        choose_slots(
            allocation_input(gpus, [mine[0], moved]), GpuRequest(), ALICE_REQUESTER, Limits(max_mig_instances=2)
        )
    )
    assert sorted(claim.slot for claim in answer.claims) == ["0:1", "gone, was 0:0"]


def test_lease_matches_by_uuid() -> None:
    gpus = observe_gpus("2xA100")
    renumbered = replace(active_lease(gpus, "1"), slots=("0",))
    assert names(choose_slots(allocation_input(gpus, [renumbered]), GpuRequest(), ALICE_REQUESTER, Limits())) == ["0"]


def test_a_lost_lease_counts_against_the_quota() -> None:
    at = allocation_input("1xA100", [lost_lease("7:7", user="alice", uid=1001)])
    assert refusal(choose_slots(at, GpuRequest(), ALICE_REQUESTER, Limits(max_mig_instances=1))).used == 1


# Restarts


def test_a_restart_gets_exactly_its_slots() -> None:
    gpus = observe_gpus(MIG)
    uuids = (slot_of(gpus, "0:2").uuid, slot_of(gpus, "0:1").uuid)
    assert names(choose_slots(allocation_input(gpus), GpuRequest(uuids=uuids), ALICE_REQUESTER, PLENTY)) == [
        "0:1",
        "0:2",
    ]


def test_a_restart_on_taken_slots_names_the_holder() -> None:
    gpus = observe_gpus(MIG)
    at = allocation_input(gpus, [active_lease(gpus, "0:2", until=NOW + HOUR)])
    answer = refusal(choose_slots(at, GpuRequest(uuids=(slot_of(gpus, "0:2").uuid,)), ALICE_REQUESTER, PLENTY))
    assert (answer.rule, answer.temporary, answer.earliest) == (Rule.NONE_FREE, True, NOW + HOUR)
    assert [(claim.slot, claim.user) for claim in answer.claims] == [("0:2", "bob")]


def test_restart_on_missing_slots_is_refused_as_lost() -> None:
    answer = refusal(choose_slots(allocation_input(MIG), GpuRequest(uuids=("MIG-gone",)), ALICE_REQUESTER, PLENTY))
    assert (answer.rule, answer.temporary, answer.claims[0].slot) == (Rule.LOST, False, "MIG-gone")


def test_restart_checks_the_quota_first() -> None:
    gpus = observe_gpus(MIG)
    at = allocation_input(gpus, [active_lease(gpus, "0:0", user="alice", uid=1001)])
    for uuid in (slot_of(gpus, "0:1").uuid, "MIG-gone"):
        assert refusal(choose_slots(at, GpuRequest(uuids=(uuid,)), ALICE_REQUESTER, Limits())).rule is Rule.QUOTA


def test_a_restart_without_devices_is_cpu_only() -> None:
    assert choose_slots(
        allocation_input(MIG), GpuRequest(uuids=()), ALICE_REQUESTER, Limits(max_mig_instances=0)
    ) == Choice(())


def test_replaced_lease_does_not_count() -> None:
    gpus = observe_gpus("1xA100")
    own = active_lease(gpus, "0", user="alice", uid=1001, container=ALICE_REQUESTER.container)
    assert names(
        choose_slots(allocation_input(gpus, [own]), GpuRequest(), ALICE_REQUESTER, Limits(max_mig_instances=1))
    ) == ["0"]


def test_containers_are_counted_against_their_own_limit() -> None:
    assert check_container_count(None, 99) is None
    assert check_container_count(3, 2) is None
    answer = check_container_count(3, 3)
    assert answer is not None
    assert (answer.rule, answer.limit, answer.used, answer.temporary) == (Rule.CONTAINERS, 3, 3, False)


def test_a_choice_is_quick() -> None:
    gpus: GpuObservation = observe_gpus("8xA100:7x1g.5gb")
    leases = [active_lease(gpus, slot.slot, uid=index) for index, slot in enumerate(gpus.slots[:55])]
    leases += [lost_lease(f"9:{index}", f"MIG-{index}", uid=index) for index in range(445)]
    random.Random(1).shuffle(leases)
    at = allocation_input(gpus, leases)
    times = []
    for _ in range(20):
        began = time.perf_counter()
        assert names(choose_slots(at, GpuRequest(), ALICE_REQUESTER, Limits())) == ["7:6"]
        times.append(time.perf_counter() - began)
    assert min(times) < 0.01
    print(f"{min(times) * 1000:.2f} ms")
