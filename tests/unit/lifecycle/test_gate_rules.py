"""Who may do what, and what the policy gives: ownership, quota, slots, wants, labels, names."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ds01.engines.protocol import Devices, ExecRequest
from ds01.errors import InvalidState, NoCapacity, NotFound, PermissionDenied, UsageError
from ds01.gpus.model import GpuRequest, GpuType
from ds01.records.machine import Trigger
from ds01.records.request import Wants
from tests.acts import fill, refusal, stopped_with_slots_taken
from tests.bed import POLICY, Bed

ALICE, BOB = "thesis._.70001", "thesis._.70002"


def test_the_quota_refuses_with_its_numbers_and_what_is_held(bed: Bed, gate: Any) -> None:
    alice = bed.actor("alice")
    fill(bed, "alice", start=True)
    gate.stop(alice, ALICE)
    fill(bed, "alice", name="second")
    with pytest.raises(PermissionDenied) as caught:
        gate.create(alice, bed.request("alice", "third"))
    assert caught.value.exit_code == 3
    said = refusal(caught)
    assert (said.rule.value, said.limit, said.used, said.temporary) == ("max_mig_instances", 2, 2, False)
    assert {(claim.state, claim.container) for claim in said.claims} == {("held", ALICE), ("leased", "second._.70001")}
    assert gate.plan(alice, bed.request("alice", "third")).refusal == said
    assert ("refusal", "max_mig_instances") in [(kind, facts["why"]) for kind, facts in bed.events]


def test_no_free_slot_is_exit_code_four_and_names_who_has_them(bed: Bed, gate: Any) -> None:
    fill(bed, "alice", gpus=2)
    fill(bed, "bob", name="a")
    fill(bed, "bob", name="b")
    with pytest.raises(NoCapacity) as caught:
        gate.create(bed.actor("carol"), bed.request("carol"))
    assert caught.value.exit_code == 4
    said = refusal(caught)
    assert said.temporary
    assert {claim.user for claim in said.claims} == {"alice", "bob"}
    assert [record.user for record in bed.records() if record.user == "carol"] == []


def test_more_than_fits_in_one_container_is_refused(bed: Bed, gate: Any) -> None:
    with pytest.raises(PermissionDenied) as caught:
        gate.create(bed.actor("alice"), bed.request("alice", gpus=3))
    assert refusal(caught).rule.value == "max_gpus_per_container"


def test_the_number_of_containers_is_limited_and_removed_ones_do_not_count(bed: Bed, gate: Any) -> None:
    alice = bed.actor("alice")
    for name in ("a", "b", "c"):
        fill(bed, "alice", name=name, gpus=0)
    with pytest.raises(PermissionDenied) as caught:
        gate.create(alice, bed.request("alice", "d", 0))
    assert refusal(caught).rule.value == "max_containers_per_user"
    gate.remove(alice, "a._.70001")
    gate.create(alice, bed.request("alice", "d", 0))


def test_a_quota_of_zero_makes_cpu_only_and_the_plan_says_so(bed: Bed) -> None:
    bed.set_policy(POLICY.replace("max_mig_instances: 2", "max_mig_instances: 0"))
    alice = bed.actor("alice")
    assert bed.gate.plan(alice, bed.request("alice")).note == "quota_zero"
    assert bed.gate.create(alice, bed.request("alice")).container.gpus == ()
    with pytest.raises(PermissionDenied):
        bed.gate.create(alice, bed.request("alice", "asked", 1))


def test_a_whole_gpu_is_given_to_who_asks_for_one(bed: Bed, gate: Any) -> None:
    alice = bed.actor("alice")
    request = replace(bed.request("alice"), gpus=GpuRequest(1, GpuType.FULL))
    assert [slot.slot for slot in gate.create(alice, request).container.gpus] == ["0"]


def test_slots_that_foreign_containers_use_are_not_given(bed: Bed, gate: Any) -> None:
    bed.engine.add_foreign("by-id", devices=Devices((bed.uuid["1:0"],), form="device_request"))
    bed.engine.add_foreign("by-index", devices=Devices(("0",), form="environment"))
    bed.engine.add_foreign("asleep", devices=Devices((bed.uuid["1:2"],), form="device_request"), running=False)
    assert [slot.slot for slot in gate.create(bed.actor("alice"), bed.request("alice")).container.gpus] == ["1:1"]
    bed.engine.add_foreign("everything", devices=Devices(everything=True, form="device_request"))
    with pytest.raises(NoCapacity) as caught:
        gate.create(bed.actor("bob"), bed.request("bob"))
    states = {claim.slot: claim.state for claim in refusal(caught).claims}
    assert states == {"0": "busy_outside", "1:0": "busy_outside", "1:1": "leased", "1:2": "busy_outside"}
    assert all("outside" in (claim.why or "") for claim in refusal(caught).claims if claim.state == "busy_outside")


def test_a_name_is_taken_only_by_its_owners_own(bed: Bed, gate: Any) -> None:
    fill(bed, "alice")
    assert gate.create(bed.actor("bob"), bed.request("bob")).container.container == BOB
    for act in (gate.create, gate.plan):
        with pytest.raises(InvalidState) as caught:
            act(bed.actor("alice"), bed.request("alice"))
        assert caught.value.exit_code == 6


def test_a_name_that_docker_has_already_is_taken(bed: Bed, gate: Any) -> None:
    bed.engine.add_foreign(ALICE)
    with pytest.raises(InvalidState):
        gate.create(bed.actor("alice"), bed.request("alice"))
    assert bed.leased() == {}


@pytest.mark.parametrize("project", ["", "../evil", "/tmp", "a/b", "x\x1b[31my", "x\ny", "a,b", "Big"])
def test_a_project_that_is_no_name_is_wrong_use(bed: Bed, gate: Any, project: str) -> None:
    with pytest.raises(UsageError):
        gate.create(bed.actor("alice"), bed.request("alice", project=project))
    assert bed.records() == []


def test_simulated_gpus_are_in_nobodys_way_on_a_real_docker(bed: Bed) -> None:
    bed.engine.add_foreign("theirs", devices=Devices(everything=True, form="device_request"))
    uuids = tuple(bed.uuid.values())
    another = Devices(uuids, form="device_request")
    bed.engine.add_foreign("x._.70009", devices=another, labels={"ds01.installation": "another"})
    with pytest.raises(NoCapacity):
        fill(bed, "alice")
    bed.set_context(inject_devices=False)  # as with a real Docker, whose devices are not the simulated ones
    fill(bed, "alice")


@pytest.mark.parametrize("name", ["", "Thesis", "a b", "-a", "../x", "a" * 64, "a.b", "ü"])
def test_a_bad_name_is_wrong_use(bed: Bed, gate: Any, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        gate.create(bed.actor("alice"), bed.request("alice", name))
    assert caught.value.exit_code == 2


def test_nobody_acts_for_others_but_admins_and_root(bed: Bed, gate: Any) -> None:
    alice, bob = bed.actor("alice"), bed.actor("bob")
    fill(bed, "alice", start=True)
    for act in (
        lambda: gate.create(bob, bed.request("alice", "mine")),
        lambda: gate.plan(bob, bed.request("alice", "mine")),
    ):
        with pytest.raises(PermissionDenied) as caught:
            act()
        assert caught.value.exit_code == 3
    for absent in (
        lambda: gate.start(bob, ALICE),
        lambda: gate.stop(bob, ALICE),
        lambda: gate.remove(bob, ALICE, force=True),
        lambda: gate.pause(bob, ALICE),
        lambda: gate.unpause(bob, ALICE),
        lambda: gate.release(bob, ALICE),
        lambda: gate.mark(bob, ALICE, Trigger.STOP),
        lambda: gate.processes(bob, ALICE),
        lambda: gate.sizes(bob, (ALICE,)),
        lambda: gate.usage(bob, (ALICE,)),
        lambda: gate.exec(bob, ALICE, ExecRequest(("bash",), "0:0")),
    ):
        with pytest.raises(NotFound):
            absent()
    assert bed.record("alice").state.value == "running"
    assert gate.stop(bed.actor("boss"), ALICE).container.state == "held"
    assert gate.remove(bed.actor("root"), ALICE).container.state == "removed"
    assert gate.create(bed.actor("boss"), bed.request("alice")).container.user == "alice"
    assert bed.record("alice").history[0].actor == "boss"
    assert gate.is_admin(bed.actor("boss")) and not gate.is_admin(alice)


def test_admin_rights_come_from_the_policy_not_from_the_actor_alone(bed: Bed, gate: Any) -> None:
    fill(bed, "alice")
    with pytest.raises(NotFound):
        gate.stop(replace(bed.actor("bob"), login="boss", via="tick"), ALICE)


def test_limits_are_always_the_owners(bed: Bed, gate: Any) -> None:
    for name in ("a", "b"):
        gate.create(bed.actor("boss"), bed.request("alice", name))
    with pytest.raises(PermissionDenied) as caught:
        gate.create(bed.actor("boss"), bed.request("alice", "c"))
    assert refusal(caught).limit == 2


def test_wants_below_the_limits_are_honoured(bed: Bed, gate: Any) -> None:
    wants = Wants(max_cpus=2, memory=1 << 30, shm_size=1 << 29, pids_limit=100)
    gate.create(bed.actor("alice"), bed.request("alice", wants=wants))
    seen = bed.engine.inspect(ALICE)
    assert seen is not None and seen.spec is not None
    spec = seen.spec
    assert (spec.cpu_quota, spec.memory, spec.shm_size, spec.pids_limit) == (200_000, 1 << 30, 1 << 29, 100)
    assert spec.memory_swap == 1 << 30
    assert bed.record("alice").request is not None
    assert bed.record("alice").request.wants == wants


@pytest.mark.parametrize(
    "wants", [Wants(max_cpus=9), Wants(memory=33 << 30), Wants(shm_size=9 << 30), Wants(pids_limit=5000)]
)
def test_wants_above_the_limits_are_refused(bed: Bed, gate: Any, wants: Wants) -> None:
    with pytest.raises(PermissionDenied):
        gate.create(bed.actor("alice"), bed.request("alice", wants=wants))
    assert bed.leased() == {}


@pytest.mark.parametrize(
    "wants",
    [Wants(max_cpus=0), Wants(max_cpus=-1), Wants(memory=0), Wants(memory=-1), Wants(shm_size=0), Wants(pids_limit=-1)],
)
def test_wants_that_mean_no_limit_to_docker_are_wrong_use(bed: Bed, gate: Any, wants: Wants) -> None:
    with pytest.raises(UsageError):
        gate.create(bed.actor("alice"), bed.request("alice", wants=wants))


def test_wants_that_are_no_numbers_are_wrong_use(bed: Bed) -> None:
    for value in (float("nan"), float("inf")):
        with pytest.raises(UsageError):
            bed.gate.create(bed.actor("alice"), bed.request("alice", wants=Wants(max_cpus=value)))


@pytest.mark.parametrize("count", [-1, -5])
def test_fewer_gpus_than_none_is_wrong_use(bed: Bed, gate: Any, count: int) -> None:
    with pytest.raises(UsageError):
        gate.create(bed.actor("alice"), bed.request("alice", gpus=count))


@pytest.mark.parametrize("label", ["ds01.user", "ds01.gpu.uuids", "aime.mlc.USER"])
def test_labels_that_are_ds01s_own_are_refused(bed: Bed, gate: Any, label: str) -> None:
    with pytest.raises(PermissionDenied):
        gate.create(bed.actor("alice"), bed.request("alice", labels={label: "x"}))


def test_own_labels_and_variables_arrive_beside_the_devices(bed: Bed, gate: Any) -> None:
    request = bed.request("alice", labels={"team": "a, b"}, environment={"SEED": "1"})
    gate.create(bed.actor("alice"), request)
    seen = bed.engine.inspect(ALICE)
    assert seen is not None and seen.spec is not None
    assert seen.labels["team"] == "a; b"
    assert seen.spec.environment["SEED"] == "1"
    assert seen.spec.environment["NVIDIA_VISIBLE_DEVICES"] == bed.uuid["1:0"]


@pytest.mark.parametrize("name", ["NVIDIA_VISIBLE_DEVICES", "NVIDIA_ANYTHING", "HOME", "PATH", "CUDA_DEVICE_ORDER"])
def test_a_variable_that_ds01_sets_is_refused(bed: Bed, gate: Any, name: str) -> None:
    with pytest.raises(PermissionDenied) as caught:
        gate.create(bed.actor("alice"), bed.request("alice", environment={name: "all"}))
    assert name in caught.value.message and bed.records() == []


@pytest.mark.parametrize("key", ["", "NVIDIA_VISIBLE_DEVICES=all", "A B", "A\0"])
def test_a_variable_that_hides_another_is_wrong_use(bed: Bed, gate: Any, key: str) -> None:
    with pytest.raises(UsageError):
        gate.create(bed.actor("alice"), bed.request("alice", environment={key: "x"}))


def test_labels_of_an_image_do_not_make_a_container_ours(bed: Bed, gate: Any) -> None:
    labels = {"ds01.managed": "true", "ds01.installation": bed.ledger.installation, "ds01.id": "x", "ds01.uid": "70001"}
    bed.engine.add_foreign("other", labels=labels | {"ds01.user": "alice"})
    bed.engine.add_foreign(BOB, labels=labels | {"ds01.user": "alice"})
    assert gate.reconcile(bed.actor("root")) == ()
    assert bed.records() == []


def test_a_container_from_a_committed_image_of_ours_is_foreign(bed: Bed, gate: Any) -> None:
    fill(bed, "alice")
    seen = bed.engine.inspect(ALICE)
    assert seen is not None
    bed.engine.add_foreign("copy._.70001", labels=seen.labels, devices=Devices((bed.uuid["1:2"],)))
    assert gate.reconcile(bed.actor("root")) == ()
    assert [record.name for record in bed.records()] == ["thesis"]
    assert {row.slot: row.state for row in gate.gpus(bed.actor("bob")).slots}["1:2"] == "busy_outside"


def test_start_is_refused_when_the_slots_are_taken_naming_the_holder(bed: Bed, gate: Any) -> None:
    stopped_with_slots_taken(bed)
    before = bed.record("alice")
    with pytest.raises(NoCapacity) as caught:
        gate.start(bed.actor("alice"), ALICE)
    assert caught.value.exit_code == 4
    assert {claim.container for claim in refusal(caught).claims} == {BOB}
    assert bed.record("alice") == before
    assert set(bed.leased().values()) == {BOB}


def test_start_of_a_stopped_one_checks_the_quota_again(bed: Bed, gate: Any) -> None:
    fill(bed, "alice", start=True)
    bed.gate.stop(bed.actor("alice"), ALICE, release=True)
    fill(bed, "alice", name="a", gpus=2)
    with pytest.raises(PermissionDenied) as caught:
        gate.start(bed.actor("alice"), ALICE)
    assert refusal(caught).rule.value == "max_mig_instances"


def test_start_is_refused_when_the_hardware_lost_the_slot(bed: Bed, gate: Any) -> None:
    fill(bed, "alice", start=True)
    bed.gate.stop(bed.actor("alice"), ALICE)
    left = bed.inventory.observe()
    bed.inventory = replace(  # type: ignore[type-var]
        bed.inventory, observation=replace(left, slots=tuple(slot for slot in left.slots if slot.slot != "1:0"))
    )
    with pytest.raises(InvalidState) as caught:
        gate.start(bed.actor("alice"), ALICE)
    assert refusal(caught).rule.value == "lost"
    assert gate.start(bed.actor("alice"), ALICE, recreate=True).container.gpus[0].slot != "1:0"


def test_a_lease_by_hand_is_for_admins_and_only_release_ends_it(bed: Bed, gate: Any) -> None:
    alice, boss = bed.actor("alice"), bed.actor("boss")
    with pytest.raises(PermissionDenied):
        gate.allocate(alice, 70001, "slurm", GpuRequest(1))
    made = gate.allocate(boss, 70001, "slurm", GpuRequest(1), priority=80).container
    assert (made.state, len(made.gpus)) == ("running", 1)
    assert bed.record("alice", "slurm").resource_limits.priority == 80
    name = made.container
    for act in (
        lambda: gate.stop(boss, name),
        lambda: gate.start(boss, name),
        lambda: gate.start(boss, name, recreate=True),
        lambda: gate.remove(boss, name, force=True),
        lambda: gate.pause(boss, name),
        lambda: gate.unpause(boss, name),
        lambda: gate.exec(boss, name, ExecRequest(("bash",), "0:0")),
        lambda: gate.allocate(boss, 70001, "slurm", GpuRequest(1)),
    ):
        with pytest.raises(InvalidState):
            act()
    assert gate.mark(boss, name, Trigger.STOP).container.state == "held"
    assert gate.mark(boss, name, Trigger.START).container.state == "running"
    with pytest.raises(UsageError):
        gate.mark(boss, name, Trigger.REMOVE)
    gate.reconcile(boss)
    bed.clock.advance(days=90)
    gate.reconcile(boss)
    assert len(bed.leased()) == 1
    assert gate.processes(boss, name) == 0
    assert gate.containers(alice) == ()
    assert gate.release(boss, name).container.state == "removed"
    assert bed.leased() == {}


def test_a_lease_by_hand_counts_against_the_quota_and_blocks_the_name(bed: Bed, gate: Any) -> None:
    boss = bed.actor("boss")
    gate.allocate(boss, 70001, "thesis", GpuRequest(1))
    with pytest.raises(InvalidState):
        gate.create(bed.actor("alice"), bed.request("alice"))
    gate.create(bed.actor("alice"), bed.request("alice", "a"))
    with pytest.raises(PermissionDenied):
        gate.create(bed.actor("alice"), bed.request("alice", "b"))
    with pytest.raises(PermissionDenied):
        gate.allocate(boss, 70001, "more", GpuRequest(1))


def test_a_lease_by_hand_needs_a_name_and_a_gpu(bed: Bed, gate: Any) -> None:
    boss = bed.actor("boss")
    with pytest.raises(UsageError):
        gate.allocate(boss, 70001, "../x", GpuRequest(1))
    with pytest.raises(InvalidState):
        gate.allocate(boss, 70001, "none", GpuRequest(0))
    with pytest.raises(NotFound):
        gate.allocate(boss, 79999, "none", GpuRequest(1))
