"""Containers of AIME's tools: they count while they are AIME's, are adopted, and then behave like any other."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ds01.api.refusals import refusal_of
from ds01.engines.protocol import ContainerUsage, Devices, UpdateSpec
from ds01.errors import Ds01Error, EngineRejected, InvalidState, NoCapacity, NotFound, PermissionDenied, UsageError
from ds01.gpus.model import GpuRequest
from ds01.records.record import Origin
from ds01.records.state_machine import State
from tests import aime_containers, invariants
from tests.aime_containers import AIME_CONTAINER, ALICE_UID, LIMITED_POLICY, adopt, devices_of, is_running, spec_of
from tests.client import WireClient
from tests.harness import NOON, POLICY, Harness


@pytest.mark.parametrize("wire", [False, True])
def test_a_running_one_gets_a_record_its_gpu_as_lease_and_limits(harness: Harness, wire: bool) -> None:
    harness.set_policy(LIMITED_POLICY)
    gate: Any = WireClient(harness.context) if wire else harness.gate
    made = aime_containers.create(harness, devices=devices_of(harness, "1:1"), start=True)
    view = gate.adopt(harness.actor("alice"), AIME_CONTAINER).container
    invariants.check_settled(harness)
    assert (view.name, view.state, [slot.slot for slot in view.gpus]) == ("theirs", "running", ["1:1"])
    record = harness.record("alice", "theirs")
    assert (record.origin, record.docker_id, record.uid, record.user) == (Origin.ADOPTED, made, ALICE_UID, "alice")
    assert harness.leased() == {harness.uuid["1:1"]: AIME_CONTAINER}
    spec = spec_of(harness)
    assert (spec.cpu_quota, spec.cpu_period, spec.memory, spec.memory_swap) == (400_000, 100_000, 8 << 30, 8 << 30)
    assert spec.pids_limit == 500


def test_afterwards_it_is_as_any_other(harness: Harness) -> None:
    alice = harness.actor("alice")
    aime_containers.create(harness, devices=devices_of(harness, "0"), start=True)
    adopt(harness)
    assert harness.gate.usage(alice, (AIME_CONTAINER,))[0].name == "theirs"
    held = harness.gate.stop(alice, AIME_CONTAINER).container
    assert held.state == "held" and held.held_until == NOON + timedelta(hours=24)
    assert harness.gate.start(alice, AIME_CONTAINER).container.state == "running"
    harness.gate.extend(alice, AIME_CONTAINER, timedelta(hours=1))
    harness.gate.pause(alice, AIME_CONTAINER)
    harness.gate.unpause(alice, AIME_CONTAINER)
    assert harness.gate.remove(alice, AIME_CONTAINER, force=True).container.state == "removed"
    assert harness.engine.containers() == [] and harness.leased() == {}
    assert harness.engine.image(f"{aime_containers.BASE}:{AIME_CONTAINER}") is None, "its own tag goes with it"
    assert harness.engine.image(aime_containers.BASE) is not None
    invariants.check_settled(harness)


def test_adopted_container_can_be_recreated(harness: Harness) -> None:
    alice = harness.actor("alice")
    data = harness.root / "shared" / "data"
    aime_containers.create(harness, devices=aime_containers.ALL_GPUS, label={"aime.mlc.DATA_MOUNT": str(data)})
    assert adopt(harness).container.state == "stopped"
    with pytest.raises(PermissionDenied):  # four GPUs, and one container may have two
        harness.gate.start(alice, AIME_CONTAINER)
    view = harness.gate.start(alice, AIME_CONTAINER, recreate=True).container
    assert (view.state, len(view.gpus), view.image) == ("running", 1, aime_containers.BASE)
    record, spec = harness.record("alice", "theirs"), spec_of(harness)
    assert record.origin is Origin.CREATED and record.own_tag == f"{aime_containers.BASE}:{AIME_CONTAINER}"
    assert {mount.target: mount.source for mount in spec.mounts} == {
        "/workspace": str(harness.home("alice") / "workspace"),
        "/data": str(data),
    }
    assert spec.labels["aime.mlc.FRAMEWORK"] == "Pytorch-2.7.1"
    assert spec.network == "bridge" and spec.device_uuids == tuple(slot.uuid for slot in view.gpus)
    invariants.check_settled(harness)


@pytest.mark.parametrize(
    ("devices", "label", "count"),
    [
        (Devices(), "all", 0),
        (Devices(("0",), form="device_request"), "device=0", 1),
        (Devices(("0", "1"), form="device_request"), "device=0,1", 2),  # GPU 1 is three instances: two are the most
        (aime_containers.ALL_GPUS, "2", 2),
        (aime_containers.ALL_GPUS, "9", 2),
        (aime_containers.ALL_GPUS, "all", None),
        (aime_containers.ALL_GPUS, "1000000000000", None),
    ],
)
def test_recreated_adopted_container_requests_its_gpus(
    harness: Harness, devices: Devices, label: str, count: int | None
) -> None:
    aime_containers.create(harness, devices=devices, label={"aime.mlc.GPUS": label})
    adopt(harness)
    request = harness.record("alice", "theirs").request
    assert request is not None and request.gpus.count == count


@pytest.mark.parametrize(
    ("ids", "slots"),
    [
        (("0",), {"0"}),
        (("1",), {"1:0", "1:1", "1:2"}),
        (("1:2",), {"1:2"}),
        (("GPU-who-knows",), {"0", "1:0", "1:1", "1:2"}),
    ],
)
def test_its_devices_in_every_form_are_slots(harness: Harness, ids: tuple[str, ...], slots: set[str]) -> None:
    aime_containers.create(harness, devices=Devices(ids, form="device_request"), start=True)
    adopt(harness)
    assert set(harness.record("alice", "theirs").slots) == slots


def test_until_then_its_gpu_is_in_use_from_outside(harness: Harness) -> None:
    aime_containers.create(harness, devices=devices_of(harness, "0", "1:0", "1:1"), start=True)
    given = harness.gate.create(harness.actor("bob"), harness.request("bob")).container.gpus
    assert [slot.slot for slot in given] == ["1:2"]
    with pytest.raises(NoCapacity):
        harness.gate.create(harness.actor("carol"), harness.request("carol"))


def test_adopting_a_container_on_a_leased_gpu_is_refused(harness: Harness) -> None:
    harness.gate.create(harness.actor("bob"), harness.request("bob"))
    (slot,) = harness.record("bob").slots
    made = aime_containers.create(harness, devices=devices_of(harness, slot), start=True)
    with pytest.raises(NoCapacity) as caught:
        harness.gate.adopt(harness.actor("alice"), AIME_CONTAINER)
    found = refusal_of(caught.value)
    assert found is not None
    assert [(claim.slot, claim.user) for claim in found.claims] == [(slot, "bob")]
    assert found.earliest is not None
    assert [record.user for record in harness.records()] == ["bob"]
    seen = harness.engine.inspect(made)
    assert seen is not None and seen.status.has_processes


@pytest.mark.parametrize("why", ["reserved", "outside"])
def test_reserved_or_used_slots_are_not_free(harness: Harness, why: str) -> None:
    aime_containers.create(harness, devices=devices_of(harness, "0"), start=True)
    if why == "reserved":
        harness.set_policy(POLICY + 'reservations: [{for: bob, slots: ["0"], from: 2026-11-01, until: 2026-12-31}]\n')
    else:
        harness.engine.add_foreign("other", devices=Devices(("0",), form="device_request"))
    with pytest.raises(NoCapacity):
        harness.gate.adopt(harness.actor("alice"), AIME_CONTAINER)
    assert harness.records() == []


def test_one_that_is_about_to_be_stopped_need_not_have_its_gpu(harness: Harness) -> None:
    harness.gate.create(harness.actor("bob"), harness.request("bob"))
    before = harness.leased()
    aime_containers.create(harness, devices=aime_containers.ALL_GPUS, start=True)
    adopt(harness, ending=True)
    record = harness.record("alice", "theirs")
    assert (record.state, record.lease) == (State.RUNNING, None) and record.conflict
    with pytest.raises(NoCapacity):  # its GPUs are not free while it runs
        harness.gate.create(harness.actor("carol"), harness.request("carol"))
    assert harness.gate.stop(harness.actor("alice"), AIME_CONTAINER).container.state == "stopped"
    assert harness.leased() == before
    harness.gate.create(harness.actor("carol"), harness.request("carol"))
    invariants.check_settled(harness)


def test_adopted_running_container_keeps_gpus_over_quota(harness: Harness) -> None:
    aime_containers.create(harness, devices=aime_containers.ALL_GPUS, start=True)
    for name in ("a", "b", "c"):
        harness.gate.create(harness.actor("alice"), harness.request("alice", name, gpus=0))
    said = " ".join(adopt(harness).warnings)
    assert len(harness.leased()) == 4
    for rule in ("max_mig_instances", "max_gpus_per_container", "max_containers_per_user"):
        assert rule in said
    with pytest.raises(Ds01Error):
        harness.gate.create(harness.actor("alice"), harness.request("alice", "more"))


def test_adopted_stopped_container_holds_a_free_gpu(harness: Harness) -> None:
    made = aime_containers.create(harness, devices=devices_of(harness, "0"), start=True)
    harness.engine.kill(made)
    harness.clock.advance(days=40)
    view = adopt(harness).container
    assert (view.state, view.held_until) == ("held", harness.clock.time + timedelta(hours=24))
    assert harness.leased() == {harness.uuid["0"]: AIME_CONTAINER}


@pytest.mark.parametrize("why", ["somebody has it", "quota", "no hold"])
def test_else_it_is_stopped_without_one(harness: Harness, why: str) -> None:
    made = aime_containers.create(harness, devices=devices_of(harness, "1:0"), start=True)
    harness.engine.kill(made)
    if why == "somebody has it":
        harness.gate.create(harness.actor("bob"), harness.request("bob"))
    elif why == "quota":
        harness.gate.create(harness.actor("alice"), harness.request("alice", gpus=2))
        harness.gate.create(harness.actor("alice"), harness.request("alice", "no", gpus=0))
    else:
        harness.set_policy(POLICY.replace("gpu_hold_after_stop: 24h", "gpu_hold_after_stop: 0s"))
    before = harness.leased()
    view = adopt(harness).container
    assert (view.state, view.gpus, [slot.slot for slot in view.gpus_fixed]) == ("stopped", (), ["1:0"])
    assert harness.leased() == before


def test_adopted_new_container_has_the_created_timeout(harness: Harness) -> None:
    aime_containers.create(harness, devices=devices_of(harness, "0"))
    aime_containers.create(harness, name="cpu")
    assert adopt(harness).container.state == "created"
    assert len(harness.leased()) == 1
    harness.gate.release(harness.actor("alice"), AIME_CONTAINER)
    harness.clock.advance(hours=1)
    assert harness.gate.adopt(harness.actor("alice"), f"cpu._.{ALICE_UID}").container.state == "created"
    aime_containers.create(harness, name="old", devices=devices_of(harness, "0"))
    harness.clock.advance(hours=1)
    assert harness.gate.adopt(harness.actor("alice"), f"old._.{ALICE_UID}").container.state == "stopped"
    assert harness.leased() == {}
    invariants.check_settled(harness)


def test_its_deadlines_count_from_now(harness: Harness) -> None:
    aime_containers.create(harness, start=True)
    harness.set_policy(POLICY.replace("max_containers", "max_runtime: 48h, idle_timeout: 12h, max_containers"))
    harness.clock.advance(days=10)
    view = adopt(harness).container
    assert view.deadline is not None and view.deadline.at == harness.clock.time + timedelta(hours=12)


def test_what_cannot_be_changed_is_said(harness: Harness) -> None:
    aime_containers.create(harness)
    (said,) = adopt(harness).warnings
    for what in ("shared memory", "all privileges", "host", "--recreate"):
        assert what in said


def test_twice_is_once_and_sets_todays_limits(harness: Harness) -> None:
    aime_containers.create(harness, start=True)
    assert not adopt(harness).already
    harness.set_policy(LIMITED_POLICY)
    before = harness.record("alice", "theirs")
    assert adopt(harness).already
    assert harness.record("alice", "theirs") == before and spec_of(harness).memory == 8 << 30


def test_one_of_our_own_is_ours_already(harness: Harness) -> None:
    harness.gate.create(harness.actor("alice"), harness.request("alice"))
    before = harness.record("alice")
    assert harness.gate.adopt(harness.actor("alice"), harness.full("alice")).already
    assert harness.record("alice") == before
    with pytest.raises(NotFound):
        harness.gate.adopt(harness.actor("bob"), harness.full("alice"))


class UsesMuch:
    """An engine whose containers use a lot of memory, and that refuses limits if told so."""

    def __init__(self, engine: Any, *, refuses: bool = False) -> None:
        self._engine = engine
        self._refuses = refuses
        self.asked: list[UpdateSpec] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def usage(self, reference: str, **more: Any) -> ContainerUsage:
        return ContainerUsage(0, 9 << 30, None, 1)

    def update(self, reference: str, limits: UpdateSpec) -> tuple[str, ...]:
        if self._refuses:
            raise EngineRejected("no", why="device or resource busy")
        self.asked.append(limits)
        answer: tuple[str, ...] = self._engine.update(reference, limits)
        return answer


def test_adopted_limit_below_use_waits_for_a_stop(harness: Harness) -> None:
    harness.set_policy(LIMITED_POLICY)
    aime_containers.create(harness, start=True)
    engine: Any = UsesMuch(harness.engine)
    gate = harness.another_gate(engine=engine)
    warnings = gate.adopt(harness.actor("alice"), AIME_CONTAINER).warnings
    assert "its memory limit is unchanged" in warnings[0] and "8g" in warnings[0]
    assert engine.asked == [UpdateSpec(400_000, 100_000, None, None, 500)]
    harness.gate.stop(harness.actor("alice"), AIME_CONTAINER)
    gate.adopt(harness.actor("alice"), AIME_CONTAINER)
    assert spec_of(harness).memory == 8 << 30


def test_an_engine_that_takes_no_limits_is_a_warning(harness: Harness) -> None:
    aime_containers.create(harness, devices=devices_of(harness, "0"), start=True)
    engine: Any = UsesMuch(harness.engine, refuses=True)
    warnings = harness.another_gate(engine=engine).adopt(harness.actor("alice"), AIME_CONTAINER).warnings
    assert any("device or resource busy" in warning for warning in warnings)
    assert len(harness.leased()) == 1
    invariants.check_settled(harness)


# who, and what


def test_only_the_owner_and_administrators(harness: Harness) -> None:
    aime_containers.create(harness)
    with pytest.raises(NotFound):
        harness.gate.adopt(harness.actor("bob"), AIME_CONTAINER)
    assert harness.records() == []
    adopt(harness, who="boss")
    assert harness.record("alice", "theirs").user == "alice"
    assert harness.record("alice", "theirs").history[0].actor == "boss"


@pytest.mark.parametrize(
    ("name", "label", "error"),
    [
        ("plain", {}, InvalidState),
        (f"theirs._.{ALICE_UID}", {"aime.mlc.USER": "bob"}, InvalidState),
        (f"theirs._.{ALICE_UID}", None, InvalidState),
        ("theirs._.4000000", {}, NotFound),
        ("theirs._.007", {}, InvalidState),
        (f"theirs._.{ALICE_UID}", {"ds01.installation": "another"}, InvalidState),
        ("nothing", None, NotFound),
    ],
)
def test_container_with_unclear_owner_is_not_adopted(
    harness: Harness, name: str, label: dict[str, str] | None, error: type[Ds01Error]
) -> None:
    if name != "nothing":
        harness.engine.add_foreign(
            name, labels={} if label is None else aime_containers.labels("alice", "theirs", **label)
        )
    for who in ("alice", "boss"):
        with pytest.raises(error):
            harness.gate.adopt(harness.actor(who), name)
    assert harness.records() == []
    if label is not None and "aime.mlc.USER" not in label:
        assert harness.gate.listing(harness.actor("boss"), all_users=True).adoptable == ()


@pytest.mark.parametrize("name", ["../../x", "a/b", "", "..", "theirs._.70001/../x"])
def test_odd_names_are_nothing(harness: Harness, name: str) -> None:
    with pytest.raises(NotFound):
        harness.gate.adopt(harness.actor("alice"), name)
    with pytest.raises(NotFound):
        harness.gate.find_adoptable(harness.actor("alice"), name)


@pytest.mark.parametrize("name", ["Theirs", "tf2.15", "A.b-C_d"])
def test_names_that_only_aime_gives_work_too(harness: Harness, name: str) -> None:
    alice = harness.actor("alice")
    aime_containers.create(harness, name=name, start=True)
    full = harness.gate.find_adoptable(alice, name)
    assert full == f"{name}._.{ALICE_UID}"
    harness.gate.adopt(alice, full)
    invariants.check_settled(harness)
    assert harness.gate.resolve(alice, name) == full
    with pytest.raises(UsageError):  # it cannot be created again under that name, and stays as it is
        harness.gate.remake(alice, full)
    assert is_running(harness, full)
    harness.gate.stop(alice, full)
    with pytest.raises(UsageError):
        harness.gate.start(alice, full, recreate=True)
    assert harness.gate.containers(alice)[0].state == "stopped"
    harness.gate.remove(alice, full)
    assert harness.engine.containers() == []


def test_a_lease_by_hand_under_its_name_stands_in_the_way(harness: Harness) -> None:
    harness.gate.allocate(harness.actor("boss"), ALICE_UID, "theirs", GpuRequest(1))
    aime_containers.create(harness)
    with pytest.raises(InvalidState):
        harness.gate.adopt(harness.actor("alice"), AIME_CONTAINER)
