"""Permissions and limits: ownership, quota, slots, requested limits, labels, names."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ds01.engines.protocol import Devices, ExecRequest
from ds01.errors import InvalidState, NoCapacity, NotFound, PermissionDenied, UsageError
from ds01.gpus.model import GpuRequest, GpuType
from ds01.records.request import RequestedLimits
from ds01.records.state_machine import Trigger
from tests.actions import create_container, refusal_in, stop_and_take_slots
from tests.harness import POLICY, Harness

ALICE_THESIS, BOB_THESIS = "thesis._.70001", "thesis._.70002"


def test_quota_refusal_has_numbers_and_held_leases(harness: Harness, gate: Any) -> None:
    alice = harness.actor("alice")
    create_container(harness, "alice", start=True)
    gate.stop(alice, ALICE_THESIS)
    create_container(harness, "alice", name="second")
    with pytest.raises(PermissionDenied) as caught:
        gate.create(alice, harness.request("alice", "third"))
    assert caught.value.exit_code == 3
    said = refusal_in(caught)
    assert (said.rule.value, said.limit, said.used, said.temporary) == ("max_mig_instances", 2, 2, False)
    assert {(claim.state, claim.container) for claim in said.claims} == {
        ("held", ALICE_THESIS),
        ("leased", "second._.70001"),
    }
    assert gate.plan(alice, harness.request("alice", "third")).refusal == said
    assert ("refusal", "max_mig_instances") in [(kind, facts["why"]) for kind, facts in harness.events]


def test_no_free_slot_is_exit_code_four_and_names_who_has_them(harness: Harness, gate: Any) -> None:
    create_container(harness, "alice", gpus=2)
    create_container(harness, "bob", name="a")
    create_container(harness, "bob", name="b")
    with pytest.raises(NoCapacity) as caught:
        gate.create(harness.actor("carol"), harness.request("carol"))
    assert caught.value.exit_code == 4
    said = refusal_in(caught)
    assert said.temporary
    assert {claim.user for claim in said.claims} == {"alice", "bob"}
    assert [record.user for record in harness.records() if record.user == "carol"] == []


def test_more_than_fits_in_one_container_is_refused(harness: Harness, gate: Any) -> None:
    with pytest.raises(PermissionDenied) as caught:
        gate.create(harness.actor("alice"), harness.request("alice", gpus=3))
    assert refusal_in(caught).rule.value == "max_gpus_per_container"


def test_container_limit_ignores_removed_containers(harness: Harness, gate: Any) -> None:
    alice = harness.actor("alice")
    for name in ("a", "b", "c"):
        create_container(harness, "alice", name=name, gpus=0)
    with pytest.raises(PermissionDenied) as caught:
        gate.create(alice, harness.request("alice", "d", 0))
    assert refusal_in(caught).rule.value == "max_containers_per_user"
    gate.remove(alice, "a._.70001")
    gate.create(alice, harness.request("alice", "d", 0))


def test_a_quota_of_zero_makes_cpu_only_and_the_plan_says_so(harness: Harness) -> None:
    harness.set_policy(POLICY.replace("max_mig_instances: 2", "max_mig_instances: 0"))
    alice = harness.actor("alice")
    assert harness.gate.plan(alice, harness.request("alice")).note == "quota_zero"
    assert harness.gate.create(alice, harness.request("alice")).container.gpus == ()
    with pytest.raises(PermissionDenied):
        harness.gate.create(alice, harness.request("alice", "asked", 1))


def test_a_whole_gpu_is_given_to_who_asks_for_one(harness: Harness, gate: Any) -> None:
    alice = harness.actor("alice")
    request = replace(harness.request("alice"), gpus=GpuRequest(1, GpuType.FULL))
    assert [slot.slot for slot in gate.create(alice, request).container.gpus] == ["0"]


def test_slots_that_foreign_containers_use_are_not_given(harness: Harness, gate: Any) -> None:
    harness.engine.add_foreign("by-id", devices=Devices((harness.uuid["1:0"],), form="device_request"))
    harness.engine.add_foreign("by-index", devices=Devices(("0",), form="environment"))
    harness.engine.add_foreign("asleep", devices=Devices((harness.uuid["1:2"],), form="device_request"), running=False)
    assert [slot.slot for slot in gate.create(harness.actor("alice"), harness.request("alice")).container.gpus] == [
        "1:1"
    ]
    harness.engine.add_foreign("everything", devices=Devices(everything=True, form="device_request"))
    with pytest.raises(NoCapacity) as caught:
        gate.create(harness.actor("bob"), harness.request("bob"))
    states = {claim.slot: claim.state for claim in refusal_in(caught).claims}
    assert states == {"0": "busy_outside", "1:0": "busy_outside", "1:1": "leased", "1:2": "busy_outside"}
    assert all("outside" in (claim.why or "") for claim in refusal_in(caught).claims if claim.state == "busy_outside")


def test_a_name_is_taken_only_by_its_owners_own(harness: Harness, gate: Any) -> None:
    create_container(harness, "alice")
    assert gate.create(harness.actor("bob"), harness.request("bob")).container.container == BOB_THESIS
    for act in (gate.create, gate.plan):
        with pytest.raises(InvalidState) as caught:
            act(harness.actor("alice"), harness.request("alice"))
        assert caught.value.exit_code == 6


def test_a_name_that_docker_has_already_is_taken(harness: Harness, gate: Any) -> None:
    harness.engine.add_foreign(ALICE_THESIS)
    with pytest.raises(InvalidState):
        gate.create(harness.actor("alice"), harness.request("alice"))
    assert harness.leased() == {}


@pytest.mark.parametrize("project", ["", "../evil", "/tmp", "a/b", "x\x1b[31my", "x\ny", "a,b", "Big"])
def test_a_project_that_is_no_name_is_wrong_use(harness: Harness, gate: Any, project: str) -> None:
    with pytest.raises(UsageError):
        gate.create(harness.actor("alice"), harness.request("alice", project=project))
    assert harness.records() == []


def test_other_simulated_gpus_are_ignored_on_a_real_docker(harness: Harness) -> None:
    harness.engine.add_foreign("theirs", devices=Devices(everything=True, form="device_request"))
    uuids = tuple(harness.uuid.values())
    another = Devices(uuids, form="device_request")
    harness.engine.add_foreign("x._.70009", devices=another, labels={"ds01.installation": "another"})
    with pytest.raises(NoCapacity):
        create_container(harness, "alice")
    harness.set_context(inject_devices=False)  # as with a real Docker, whose devices are not the simulated ones
    create_container(harness, "alice")


@pytest.mark.parametrize("name", ["", "Thesis", "a b", "-a", "../x", "a" * 64, "a.b", "ü"])
def test_a_bad_name_is_wrong_use(harness: Harness, gate: Any, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        gate.create(harness.actor("alice"), harness.request("alice", name))
    assert caught.value.exit_code == 2


def test_only_administrators_and_root_act_for_others(harness: Harness, gate: Any) -> None:
    alice, bob = harness.actor("alice"), harness.actor("bob")
    create_container(harness, "alice", start=True)
    for act in (
        lambda: gate.create(bob, harness.request("alice", "mine")),
        lambda: gate.plan(bob, harness.request("alice", "mine")),
    ):
        with pytest.raises(PermissionDenied) as caught:
            act()
        assert caught.value.exit_code == 3
    for absent in (
        lambda: gate.start(bob, ALICE_THESIS),
        lambda: gate.stop(bob, ALICE_THESIS),
        lambda: gate.remove(bob, ALICE_THESIS, force=True),
        lambda: gate.pause(bob, ALICE_THESIS),
        lambda: gate.unpause(bob, ALICE_THESIS),
        lambda: gate.release(bob, ALICE_THESIS),
        lambda: gate.mark(bob, ALICE_THESIS, Trigger.STOP),
        lambda: gate.processes(bob, ALICE_THESIS),
        lambda: gate.sizes(bob, (ALICE_THESIS,)),
        lambda: gate.usage(bob, (ALICE_THESIS,)),
        lambda: gate.exec(bob, ALICE_THESIS, ExecRequest(("bash",), "0:0")),
    ):
        with pytest.raises(NotFound):
            absent()
    assert harness.record("alice").state.value == "running"
    assert gate.stop(harness.actor("boss"), ALICE_THESIS).container.state == "held"
    assert gate.remove(harness.actor("root"), ALICE_THESIS).container.state == "removed"
    assert gate.create(harness.actor("boss"), harness.request("alice")).container.user == "alice"
    assert harness.record("alice").history[0].actor == "boss"
    assert gate.is_admin(harness.actor("boss")) and not gate.is_admin(alice)


def test_admin_rights_come_from_the_policy(harness: Harness, gate: Any) -> None:
    create_container(harness, "alice")
    with pytest.raises(NotFound):
        gate.stop(replace(harness.actor("bob"), login="boss", via="tick"), ALICE_THESIS)


def test_limits_are_always_the_owners(harness: Harness, gate: Any) -> None:
    for name in ("a", "b"):
        gate.create(harness.actor("boss"), harness.request("alice", name))
    with pytest.raises(PermissionDenied) as caught:
        gate.create(harness.actor("boss"), harness.request("alice", "c"))
    assert refusal_in(caught).limit == 2


def test_wants_below_the_limits_are_honoured(harness: Harness, gate: Any) -> None:
    wants = RequestedLimits(max_cpus=2, memory=1 << 30, shm_size=1 << 29, pids_limit=100)
    gate.create(harness.actor("alice"), harness.request("alice", wants=wants))
    seen = harness.engine.inspect(ALICE_THESIS)
    assert seen is not None and seen.spec is not None
    spec = seen.spec
    assert (spec.cpu_quota, spec.memory, spec.shm_size, spec.pids_limit) == (200_000, 1 << 30, 1 << 29, 100)
    assert spec.memory_swap == 1 << 30
    assert harness.record("alice").request is not None
    assert harness.record("alice").request.wants == wants


@pytest.mark.parametrize(
    "wants",
    [
        RequestedLimits(max_cpus=9),
        RequestedLimits(memory=33 << 30),
        RequestedLimits(shm_size=9 << 30),
        RequestedLimits(pids_limit=5000),
    ],
)
def test_wants_above_the_limits_are_refused(harness: Harness, gate: Any, wants: RequestedLimits) -> None:
    with pytest.raises(PermissionDenied):
        gate.create(harness.actor("alice"), harness.request("alice", wants=wants))
    assert harness.leased() == {}


@pytest.mark.parametrize(
    "wants",
    [
        RequestedLimits(max_cpus=0),
        RequestedLimits(max_cpus=-1),
        RequestedLimits(memory=0),
        RequestedLimits(memory=-1),
        RequestedLimits(shm_size=0),
        RequestedLimits(pids_limit=-1),
    ],
)
def test_wants_that_mean_no_limit_to_docker_are_wrong_use(harness: Harness, gate: Any, wants: RequestedLimits) -> None:
    with pytest.raises(UsageError):
        gate.create(harness.actor("alice"), harness.request("alice", wants=wants))


def test_wants_that_are_no_numbers_are_wrong_use(harness: Harness) -> None:
    for value in (float("nan"), float("inf")):
        with pytest.raises(UsageError):
            harness.gate.create(harness.actor("alice"), harness.request("alice", wants=RequestedLimits(max_cpus=value)))


@pytest.mark.parametrize("count", [-1, -5])
def test_fewer_gpus_than_none_is_wrong_use(harness: Harness, gate: Any, count: int) -> None:
    with pytest.raises(UsageError):
        gate.create(harness.actor("alice"), harness.request("alice", gpus=count))


@pytest.mark.parametrize("label", ["ds01.user", "ds01.gpu.uuids", "aime.mlc.USER"])
def test_labels_that_are_ds01s_own_are_refused(harness: Harness, gate: Any, label: str) -> None:
    with pytest.raises(PermissionDenied):
        gate.create(harness.actor("alice"), harness.request("alice", labels={label: "x"}))


def test_own_labels_and_variables_arrive_beside_the_devices(harness: Harness, gate: Any) -> None:
    request = harness.request("alice", labels={"team": "a, b"}, environment={"SEED": "1"})
    gate.create(harness.actor("alice"), request)
    seen = harness.engine.inspect(ALICE_THESIS)
    assert seen is not None and seen.spec is not None
    assert seen.labels["team"] == "a; b"
    assert seen.spec.environment["SEED"] == "1"
    assert seen.spec.environment["NVIDIA_VISIBLE_DEVICES"] == harness.uuid["1:0"]


@pytest.mark.parametrize("name", ["NVIDIA_VISIBLE_DEVICES", "NVIDIA_ANYTHING", "HOME", "PATH", "CUDA_DEVICE_ORDER"])
def test_a_variable_that_ds01_sets_is_refused(harness: Harness, gate: Any, name: str) -> None:
    with pytest.raises(PermissionDenied) as caught:
        gate.create(harness.actor("alice"), harness.request("alice", environment={name: "all"}))
    assert name in caught.value.message and harness.records() == []


@pytest.mark.parametrize("key", ["", "NVIDIA_VISIBLE_DEVICES=all", "A B", "A\0"])
def test_a_variable_that_hides_another_is_wrong_use(harness: Harness, gate: Any, key: str) -> None:
    with pytest.raises(UsageError):
        gate.create(harness.actor("alice"), harness.request("alice", environment={key: "x"}))


def test_labels_of_an_image_do_not_make_a_container_ours(harness: Harness, gate: Any) -> None:
    labels = {
        "ds01.managed": "true",
        "ds01.installation": harness.ledger.installation,
        "ds01.id": "x",
        "ds01.uid": "70001",
    }
    harness.engine.add_foreign("other", labels=labels | {"ds01.user": "alice"})
    harness.engine.add_foreign(BOB_THESIS, labels=labels | {"ds01.user": "alice"})
    assert gate.reconcile(harness.actor("root")) == ()
    assert harness.records() == []


def test_a_container_from_a_committed_image_of_ours_is_foreign(harness: Harness, gate: Any) -> None:
    create_container(harness, "alice")
    seen = harness.engine.inspect(ALICE_THESIS)
    assert seen is not None
    harness.engine.add_foreign("copy._.70001", labels=seen.labels, devices=Devices((harness.uuid["1:2"],)))
    assert gate.reconcile(harness.actor("root")) == ()
    assert [record.name for record in harness.records()] == ["thesis"]
    assert {row.slot: row.state for row in gate.gpus(harness.actor("bob")).slots}["1:2"] == "busy_outside"


def test_start_on_taken_slots_is_refused_naming_the_holder(harness: Harness, gate: Any) -> None:
    stop_and_take_slots(harness)
    before = harness.record("alice")
    with pytest.raises(NoCapacity) as caught:
        gate.start(harness.actor("alice"), ALICE_THESIS)
    assert caught.value.exit_code == 4
    assert {claim.container for claim in refusal_in(caught).claims} == {BOB_THESIS}
    assert harness.record("alice") == before
    assert set(harness.leased().values()) == {BOB_THESIS}


def test_start_of_a_stopped_one_checks_the_quota_again(harness: Harness, gate: Any) -> None:
    create_container(harness, "alice", start=True)
    harness.gate.stop(harness.actor("alice"), ALICE_THESIS, release=True)
    create_container(harness, "alice", name="a", gpus=2)
    with pytest.raises(PermissionDenied) as caught:
        gate.start(harness.actor("alice"), ALICE_THESIS)
    assert refusal_in(caught).rule.value == "max_mig_instances"


def test_start_is_refused_when_the_hardware_lost_the_slot(harness: Harness, gate: Any) -> None:
    create_container(harness, "alice", start=True)
    harness.gate.stop(harness.actor("alice"), ALICE_THESIS)
    left = harness.inventory.observe()
    harness.inventory = replace(  # type: ignore[type-var]
        harness.inventory, observation=replace(left, slots=tuple(slot for slot in left.slots if slot.slot != "1:0"))
    )
    with pytest.raises(InvalidState) as caught:
        gate.start(harness.actor("alice"), ALICE_THESIS)
    assert refusal_in(caught).rule.value == "lost"
    assert gate.start(harness.actor("alice"), ALICE_THESIS, recreate=True).container.gpus[0].slot != "1:0"


def test_a_lease_by_hand_is_for_admins_and_only_release_ends_it(harness: Harness, gate: Any) -> None:
    alice, boss = harness.actor("alice"), harness.actor("boss")
    with pytest.raises(PermissionDenied):
        gate.allocate(alice, 70001, "slurm", GpuRequest(1))
    made = gate.allocate(boss, 70001, "slurm", GpuRequest(1), priority=80).container
    assert (made.state, len(made.gpus)) == ("running", 1)
    assert harness.record("alice", "slurm").resource_limits.priority == 80
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
    harness.clock.advance(days=90)
    gate.reconcile(boss)
    assert len(harness.leased()) == 1
    assert gate.processes(boss, name) == 0
    assert gate.containers(alice) == ()
    assert gate.release(boss, name).container.state == "removed"
    assert harness.leased() == {}


def test_manual_lease_counts_against_quota_and_blocks_the_name(harness: Harness, gate: Any) -> None:
    boss = harness.actor("boss")
    gate.allocate(boss, 70001, "thesis", GpuRequest(1))
    with pytest.raises(InvalidState):
        gate.create(harness.actor("alice"), harness.request("alice"))
    gate.create(harness.actor("alice"), harness.request("alice", "a"))
    with pytest.raises(PermissionDenied):
        gate.create(harness.actor("alice"), harness.request("alice", "b"))
    with pytest.raises(PermissionDenied):
        gate.allocate(boss, 70001, "more", GpuRequest(1))


def test_a_lease_by_hand_needs_a_name_and_a_gpu(harness: Harness, gate: Any) -> None:
    boss = harness.actor("boss")
    with pytest.raises(UsageError):
        gate.allocate(boss, 70001, "../x", GpuRequest(1))
    with pytest.raises(InvalidState):
        gate.allocate(boss, 70001, "none", GpuRequest(0))
    with pytest.raises(NotFound):
        gate.allocate(boss, 79999, "none", GpuRequest(1))


@pytest.mark.parametrize("attempt", [False, True])
def test_only_an_attempt_that_is_refused_is_an_event(harness: Harness, gate: Any, attempt: bool) -> None:
    request = harness.request("alice", labels={"ds01.user": "bob"})
    with pytest.raises(PermissionDenied):
        gate.plan(harness.actor("alice"), request, attempt=attempt)
    assert harness.kinds() == (["refusal"] if attempt else [])


def test_a_refused_create_leaves_no_workspace(harness: Harness, gate: Any) -> None:
    workspace = harness.home("alice") / "workspace" / "fresh"
    with pytest.raises(PermissionDenied):
        gate.create(harness.actor("alice"), harness.request("alice", "fresh", gpus=3))
    assert not workspace.exists()
    gate.create(harness.actor("alice"), harness.request("alice", "fresh", gpus=1))
    assert workspace.is_dir()
