"""Containers that AIME's tools made: counted while they are theirs, taken over, and then as any other."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ds01.api.refusals import refusal_of
from ds01.engines.protocol import ContainerUsage, Devices, UpdateSpec
from ds01.errors import Ds01Error, EngineRejected, InvalidState, NoCapacity, NotFound, PermissionDenied, UsageError
from ds01.gpus.model import GpuRequest
from ds01.records.machine import State
from ds01.records.record import Origin
from tests import aime, legal
from tests.aime import ALICE, LIMITED, THEIRS, adopt, one, runs, spec_of
from tests.bed import NOON, POLICY, Bed
from tests.client import WireClient


@pytest.mark.parametrize("wire", [False, True])
def test_a_running_one_gets_a_record_its_gpu_as_lease_and_limits(bed: Bed, wire: bool) -> None:
    bed.set_policy(LIMITED)
    gate: Any = WireClient(bed.context) if wire else bed.gate
    made = aime.make(bed, devices=one(bed, "1:1"), start=True)
    view = gate.adopt(bed.actor("alice"), THEIRS).container
    legal.check_settled(bed)
    assert (view.name, view.state, [slot.slot for slot in view.gpus]) == ("theirs", "running", ["1:1"])
    record = bed.record("alice", "theirs")
    assert (record.origin, record.docker_id, record.uid, record.user) == (Origin.ADOPTED, made, ALICE, "alice")
    assert bed.leased() == {bed.uuid["1:1"]: THEIRS}
    spec = spec_of(bed)
    assert (spec.cpu_quota, spec.cpu_period, spec.memory, spec.memory_swap) == (400_000, 100_000, 8 << 30, 8 << 30)
    assert spec.pids_limit == 500


def test_afterwards_it_is_as_any_other(bed: Bed) -> None:
    alice = bed.actor("alice")
    aime.make(bed, devices=one(bed, "0"), start=True)
    adopt(bed)
    assert bed.gate.usage(alice, (THEIRS,))[0].name == "theirs"
    held = bed.gate.stop(alice, THEIRS).container
    assert held.state == "held" and held.held_until == NOON + timedelta(hours=24)
    assert bed.gate.start(alice, THEIRS).container.state == "running"
    bed.gate.extend(alice, THEIRS, timedelta(hours=1))
    bed.gate.pause(alice, THEIRS)
    bed.gate.unpause(alice, THEIRS)
    assert bed.gate.remove(alice, THEIRS, force=True).container.state == "removed"
    assert bed.engine.containers() == [] and bed.leased() == {}
    assert bed.engine.image(f"{aime.BASE}:{THEIRS}") is None, "its own tag goes with it"
    assert bed.engine.image(aime.BASE) is not None
    legal.check_settled(bed)


def test_it_can_be_made_anew_as_one_of_ds01s(bed: Bed) -> None:
    alice = bed.actor("alice")
    data = bed.root / "shared" / "data"
    aime.make(bed, devices=aime.ALL, label={"aime.mlc.DATA_MOUNT": str(data)})
    assert adopt(bed).container.state == "stopped"
    with pytest.raises(PermissionDenied):  # four GPUs, and one container may have two
        bed.gate.start(alice, THEIRS)
    view = bed.gate.start(alice, THEIRS, recreate=True).container
    assert (view.state, len(view.gpus), view.image) == ("running", 1, aime.BASE)
    record, spec = bed.record("alice", "theirs"), spec_of(bed)
    assert record.origin is Origin.CREATED and record.own_tag == f"{aime.BASE}:{THEIRS}"
    assert {mount.target: mount.source for mount in spec.mounts} == {
        "/workspace": str(bed.home("alice") / "workspace"),
        "/data": str(data),
    }
    assert spec.labels["aime.mlc.FRAMEWORK"] == "Pytorch-2.7.1"
    assert spec.network == "bridge" and spec.device_uuids == tuple(slot.uuid for slot in view.gpus)
    legal.check_settled(bed)


@pytest.mark.parametrize(
    ("devices", "label", "count"),
    [
        (Devices(), "all", 0),
        (Devices(("0",), form="device_request"), "device=0", 1),
        (Devices(("0", "1"), form="device_request"), "device=0,1", 2),  # GPU 1 is three instances: two are the most
        (aime.ALL, "2", 2),
        (aime.ALL, "9", 2),
        (aime.ALL, "all", None),
        (aime.ALL, "1000000000000", None),
    ],
)
def test_made_anew_it_asks_for_what_was_said(bed: Bed, devices: Devices, label: str, count: int | None) -> None:
    aime.make(bed, devices=devices, label={"aime.mlc.GPUS": label})
    adopt(bed)
    request = bed.record("alice", "theirs").request
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
def test_its_devices_in_every_form_are_slots(bed: Bed, ids: tuple[str, ...], slots: set[str]) -> None:
    aime.make(bed, devices=Devices(ids, form="device_request"), start=True)
    adopt(bed)
    assert set(bed.record("alice", "theirs").slots) == slots


def test_until_then_its_gpu_is_in_use_from_outside(bed: Bed) -> None:
    aime.make(bed, devices=one(bed, "0", "1:0", "1:1"), start=True)
    given = bed.gate.create(bed.actor("bob"), bed.request("bob")).container.gpus
    assert [slot.slot for slot in given] == ["1:2"]
    with pytest.raises(NoCapacity):
        bed.gate.create(bed.actor("carol"), bed.request("carol"))


def test_one_that_runs_on_somebodys_gpu_is_refused_and_left_alone(bed: Bed) -> None:
    bed.gate.create(bed.actor("bob"), bed.request("bob"))
    (slot,) = bed.record("bob").slots
    made = aime.make(bed, devices=one(bed, slot), start=True)
    with pytest.raises(NoCapacity) as caught:
        bed.gate.adopt(bed.actor("alice"), THEIRS)
    found = refusal_of(caught.value)
    assert found is not None
    assert [(claim.slot, claim.user) for claim in found.claims] == [(slot, "bob")]
    assert found.earliest is not None
    assert [record.user for record in bed.records()] == ["bob"]
    seen = bed.engine.inspect(made)
    assert seen is not None and seen.status.has_processes


@pytest.mark.parametrize("why", ["reserved", "outside"])
def test_what_is_reserved_or_used_outside_is_not_free_either(bed: Bed, why: str) -> None:
    aime.make(bed, devices=one(bed, "0"), start=True)
    if why == "reserved":
        bed.set_policy(POLICY + 'reservations: [{for: bob, slots: ["0"], from: 2026-11-01, until: 2026-12-31}]\n')
    else:
        bed.engine.add_foreign("other", devices=Devices(("0",), form="device_request"))
    with pytest.raises(NoCapacity):
        bed.gate.adopt(bed.actor("alice"), THEIRS)
    assert bed.records() == []


def test_one_that_is_about_to_be_stopped_need_not_have_its_gpu(bed: Bed) -> None:
    bed.gate.create(bed.actor("bob"), bed.request("bob"))
    before = bed.leased()
    aime.make(bed, devices=aime.ALL, start=True)
    adopt(bed, ending=True)
    record = bed.record("alice", "theirs")
    assert (record.state, record.lease) == (State.RUNNING, None) and record.conflict
    with pytest.raises(NoCapacity):  # its GPUs are not free while it runs
        bed.gate.create(bed.actor("carol"), bed.request("carol"))
    assert bed.gate.stop(bed.actor("alice"), THEIRS).container.state == "stopped"
    assert bed.leased() == before
    bed.gate.create(bed.actor("carol"), bed.request("carol"))
    legal.check_settled(bed)


def test_a_running_one_keeps_its_gpus_beyond_the_quota_and_that_is_said(bed: Bed) -> None:
    aime.make(bed, devices=aime.ALL, start=True)
    for name in ("a", "b", "c"):
        bed.gate.create(bed.actor("alice"), bed.request("alice", name, gpus=0))
    said = " ".join(adopt(bed).warnings)
    assert len(bed.leased()) == 4
    for rule in ("max_mig_instances", "max_gpus_per_container", "max_containers_per_user"):
        assert rule in said
    with pytest.raises(Ds01Error):
        bed.gate.create(bed.actor("alice"), bed.request("alice", "more"))


def test_a_stopped_one_has_its_gpu_held_if_it_is_free_and_within_the_quota(bed: Bed) -> None:
    made = aime.make(bed, devices=one(bed, "0"), start=True)
    bed.engine.kill(made)
    bed.clock.advance(days=40)
    view = adopt(bed).container
    assert (view.state, view.held_until) == ("held", bed.clock.time + timedelta(hours=24))
    assert bed.leased() == {bed.uuid["0"]: THEIRS}


@pytest.mark.parametrize("why", ["somebody has it", "quota", "no hold"])
def test_else_it_is_stopped_without_one(bed: Bed, why: str) -> None:
    made = aime.make(bed, devices=one(bed, "1:0"), start=True)
    bed.engine.kill(made)
    if why == "somebody has it":
        bed.gate.create(bed.actor("bob"), bed.request("bob"))
    elif why == "quota":
        bed.gate.create(bed.actor("alice"), bed.request("alice", gpus=2))
        bed.gate.create(bed.actor("alice"), bed.request("alice", "no", gpus=0))
    else:
        bed.set_policy(POLICY.replace("gpu_hold_after_stop: 24h", "gpu_hold_after_stop: 0s"))
    before = bed.leased()
    view = adopt(bed).container
    assert (view.state, view.gpus, [slot.slot for slot in view.gpus_fixed]) == ("stopped", (), ["1:0"])
    assert bed.leased() == before


def test_one_that_never_ran_is_created_with_its_gpu_for_as_long_as_any_other(bed: Bed) -> None:
    aime.make(bed, devices=one(bed, "0"))
    aime.make(bed, name="cpu")
    assert adopt(bed).container.state == "created"
    assert len(bed.leased()) == 1
    bed.gate.release(bed.actor("alice"), THEIRS)
    bed.clock.advance(hours=1)
    assert bed.gate.adopt(bed.actor("alice"), f"cpu._.{ALICE}").container.state == "created"
    aime.make(bed, name="old", devices=one(bed, "0"))
    bed.clock.advance(hours=1)
    assert bed.gate.adopt(bed.actor("alice"), f"old._.{ALICE}").container.state == "stopped"
    assert bed.leased() == {}
    legal.check_settled(bed)


def test_its_deadlines_count_from_now(bed: Bed) -> None:
    aime.make(bed, start=True)
    bed.set_policy(POLICY.replace("max_containers", "max_runtime: 48h, idle_timeout: 12h, max_containers"))
    bed.clock.advance(days=10)
    view = adopt(bed).container
    assert view.deadline is not None and view.deadline.at == bed.clock.time + timedelta(hours=12)


def test_what_cannot_be_changed_is_said(bed: Bed) -> None:
    aime.make(bed)
    (said,) = adopt(bed).warnings
    for what in ("shared memory", "all privileges", "host", "--recreate"):
        assert what in said


def test_twice_is_once_and_sets_todays_limits(bed: Bed) -> None:
    aime.make(bed, start=True)
    assert not adopt(bed).already
    bed.set_policy(LIMITED)
    before = bed.record("alice", "theirs")
    assert adopt(bed).already
    assert bed.record("alice", "theirs") == before and spec_of(bed).memory == 8 << 30


def test_one_of_our_own_is_ours_already(bed: Bed) -> None:
    bed.gate.create(bed.actor("alice"), bed.request("alice"))
    before = bed.record("alice")
    assert bed.gate.adopt(bed.actor("alice"), bed.full("alice")).already
    assert bed.record("alice") == before
    with pytest.raises(NotFound):
        bed.gate.adopt(bed.actor("bob"), bed.full("alice"))


class UsesMuch:
    """An engine whose containers use a lot of memory, and that takes no limits if told so."""

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


def test_a_limit_below_what_it_uses_would_kill_it_and_waits_for_a_stop(bed: Bed) -> None:
    bed.set_policy(LIMITED)
    aime.make(bed, start=True)
    engine: Any = UsesMuch(bed.engine)
    gate = bed.another_gate(engine=engine)
    warnings = gate.adopt(bed.actor("alice"), THEIRS).warnings
    assert "its memory stays" in warnings[0] and "8g" in warnings[0]
    assert engine.asked == [UpdateSpec(400_000, 100_000, None, None, 500)]
    bed.gate.stop(bed.actor("alice"), THEIRS)
    gate.adopt(bed.actor("alice"), THEIRS)
    assert spec_of(bed).memory == 8 << 30


def test_an_engine_that_takes_no_limits_is_a_warning(bed: Bed) -> None:
    aime.make(bed, devices=one(bed, "0"), start=True)
    engine: Any = UsesMuch(bed.engine, refuses=True)
    warnings = bed.another_gate(engine=engine).adopt(bed.actor("alice"), THEIRS).warnings
    assert any("device or resource busy" in warning for warning in warnings)
    assert len(bed.leased()) == 1
    legal.check_settled(bed)


# who, and what


def test_only_the_owner_and_administrators(bed: Bed) -> None:
    aime.make(bed)
    with pytest.raises(NotFound):
        bed.gate.adopt(bed.actor("bob"), THEIRS)
    assert bed.records() == []
    adopt(bed, who="boss")
    assert bed.record("alice", "theirs").user == "alice"
    assert bed.record("alice", "theirs").history[0].actor == "boss"


@pytest.mark.parametrize(
    ("name", "label", "error"),
    [
        ("plain", {}, InvalidState),
        (f"theirs._.{ALICE}", {"aime.mlc.USER": "bob"}, InvalidState),
        (f"theirs._.{ALICE}", None, InvalidState),
        ("theirs._.4000000", {}, NotFound),
        ("theirs._.007", {}, InvalidState),
        (f"theirs._.{ALICE}", {"ds01.installation": "another"}, InvalidState),
        ("nothing", None, NotFound),
    ],
)
def test_what_is_not_clearly_ones_own_is_not_taken(
    bed: Bed, name: str, label: dict[str, str] | None, error: type[Ds01Error]
) -> None:
    if name != "nothing":
        bed.engine.add_foreign(name, labels={} if label is None else aime.labels("alice", "theirs", **label))
    for who in ("alice", "boss"):
        with pytest.raises(error):
            bed.gate.adopt(bed.actor(who), name)
    assert bed.records() == []
    if label is not None and "aime.mlc.USER" not in label:
        assert bed.gate.listing(bed.actor("boss"), all_users=True).adoptable == ()


@pytest.mark.parametrize("name", ["../../x", "a/b", "", "..", "theirs._.70001/../x"])
def test_odd_names_are_nothing(bed: Bed, name: str) -> None:
    with pytest.raises(NotFound):
        bed.gate.adopt(bed.actor("alice"), name)
    with pytest.raises(NotFound):
        bed.gate.find_adoptable(bed.actor("alice"), name)


@pytest.mark.parametrize("name", ["Theirs", "tf2.15", "A.b-C_d"])
def test_names_that_only_aime_gives_work_too(bed: Bed, name: str) -> None:
    alice = bed.actor("alice")
    aime.make(bed, name=name, start=True)
    full = bed.gate.find_adoptable(alice, name)
    assert full == f"{name}._.{ALICE}"
    bed.gate.adopt(alice, full)
    legal.check_settled(bed)
    assert bed.gate.resolve(alice, name) == full
    with pytest.raises(UsageError):  # it cannot be made anew under that name, and is left as it is
        bed.gate.remake(alice, full)
    assert runs(bed, full)
    bed.gate.stop(alice, full)
    with pytest.raises(UsageError):
        bed.gate.start(alice, full, recreate=True)
    assert bed.gate.containers(alice)[0].state == "stopped"
    bed.gate.remove(alice, full)
    assert bed.engine.containers() == []


def test_a_lease_by_hand_under_its_name_stands_in_the_way(bed: Bed) -> None:
    bed.gate.allocate(bed.actor("boss"), ALICE, "theirs", GpuRequest(1))
    aime.make(bed)
    with pytest.raises(InvalidState):
        bed.gate.adopt(bed.actor("alice"), THEIRS)
