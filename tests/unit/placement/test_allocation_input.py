"""`ds01 gpu status` shows the same claims that the allocator uses."""

from __future__ import annotations

from dataclasses import replace

from ds01.gpus.model import Blocker, slot_sort_key
from ds01.gpus.slot_names import display_name
from ds01.placement.allocation_input import describe_blocker, slot_claims, slot_states
from ds01.policy.model import GpuAllocation, Reservation
from tests.unit.gpus.factories import HOUR, NOW, active_lease, allocation_input, lost_lease, observe_gpus


def test_every_state_has_its_row() -> None:
    gpus = observe_gpus("6xA100")
    sick = [replace(slot, unhealthy="the GPU is lost") if slot.slot == "4" else slot for slot in gpus.slots]
    at = allocation_input(
        replace(gpus, slots=tuple(reversed(sick))),
        [active_lease(gpus, "0", until=NOW + HOUR), active_lease(gpus, "1", uid=1003, user="carol", held=True)],
        occupancy={"3": Blocker("container", "jupyter", "outside.ignore_containers")},
        reservations=[Reservation(("2", "0"), NOW, NOW + HOUR, user="dave", reason="demo")],
    )
    rows = {row.slot: row for row in slot_states(at)}
    assert list(rows) == ["0", "1", "2", "3", "4", "5"]
    assert [row.state for row in rows.values()] == [
        "leased", "held", "reserved", "busy_outside", "unhealthy", "free",
    ]  # fmt: skip
    assert (rows["0"].container, rows["0"].user, rows["0"].until) == ("bob-0._.1002", "bob", NOW + HOUR)
    assert (rows["2"].user, rows["2"].until, rows["2"].why) == ("dave", NOW + HOUR, "demo")
    assert (rows["3"].container, rows["5"].why) == ("jupyter", None)
    assert rows["4"].why == "the GPU is lost"


def test_status_and_allocator_agree() -> None:
    gpus = observe_gpus("2xA100,1xA100:3x2g.10gb")
    at = allocation_input(gpus, [active_lease(gpus, "2:1"), lost_lease("0")])
    taken = {row.slot for row in slot_states(at) if row.state != "free"}
    assert taken - {"MIG-gone"} == set(slot_claims(at)) == {"2:1"}


def test_unhealthy_leased_slot_shows_why() -> None:
    gpus = observe_gpus("1xA100")
    sick = replace(gpus, slots=(replace(gpus.slots[0], unhealthy="the GPU needs a reset"),))
    (row,) = slot_states(allocation_input(sick, [active_lease(gpus, "0")]))
    assert (row.state, row.why) == ("leased", "the GPU needs a reset")


def test_a_lost_lease_is_shown_as_lost() -> None:
    rows = {row.was: row for row in slot_states(allocation_input("1xA100", [lost_lease("1:3", "MIG-gone")]))}
    assert (rows["1:3"].state, rows["1:3"].uuid, rows["1:3"].gpu, rows["1:3"].memory_bytes) == (
        "leased", "MIG-gone", 1, None,
    )  # fmt: skip
    assert rows["1:3"].slot == "MIG-gone"
    assert "lost" in (rows["1:3"].why or "")


def test_lost_lease_has_its_own_row() -> None:
    rows = slot_states(
        allocation_input("1xA100:2x2g.10gb", [lost_lease("0:1", "MIG-gone"), lost_lease("0:1", "MIG-older", uid=9)])
    )
    assert [(display_name(row), row.state) for row in rows] == [
        ("0:0", "free"), ("0:1", "free"), ("gone, was 0:1", "leased"), ("gone, was 0:1", "leased"),
    ]  # fmt: skip
    assert len({row.slot for row in rows}) == len(rows)


def test_renumbered_leased_slot_shows_its_old_name() -> None:
    gpus = observe_gpus("1xA100:3x2g.10gb")
    moved = replace(active_lease(gpus, "0:1"), slots=("0:0",))
    rows = slot_states(allocation_input(gpus, [moved]))
    assert [(display_name(row), row.state) for row in rows] == [
        ("0:0", "free"), ("0:1, was 0:0", "leased"), ("0:2", "free"),
    ]  # fmt: skip


def test_unoffered_instances_are_shown_while_leased() -> None:
    gpus = observe_gpus("1xA100:3x2g.10gb,1xA100")
    at = allocation_input(gpus, [active_lease(gpus, "0:2")], allocation=GpuAllocation(enable_mig=False))
    assert [(row.slot, row.state) for row in slot_states(at)] == [("0:2", "leased"), ("1", "free")]


def test_slot_names_are_sorted_as_numbers() -> None:
    assert sorted(["10", "0:10", "x", "2", "0:2"], key=slot_sort_key) == ["0:2", "0:10", "2", "10", "x"]


def test_a_blocker_is_described_with_the_key_that_ignores_it() -> None:
    blocker = Blocker("process", "python3", "outside.ignore_processes", {"pid": 12})
    assert describe_blocker(blocker) == "process python3 (pid 12); outside.ignore_processes in the policy can ignore it"
    assert describe_blocker(Blocker("unknown", "NVML does not say")) == "NVML does not say"
