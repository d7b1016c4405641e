"""The MIG layout changes while slots are leased: names stay unique, and every free slot is shown."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from ds01.errors import Ds01Error, NoCapacity
from ds01.gpus.model import GpuRequest, Rule, SlotKind
from ds01.gpus.simulated import SimulatedInventory
from ds01.gpus.slot_names import display_name
from ds01.lifecycle import stop as stop_module
from tests.actions import create_container, refusal_in
from tests.client import Client
from tests.harness import Harness

GPUS = "1xA100:3x2g.10gb"


@pytest.fixture
def mig(fast_tmp: object, harness: Harness) -> Harness:
    """One GPU with three instances."""
    from ds01.gpus.simulated import parse_inventory

    harness.inventory = parse_inventory(GPUS)
    harness.set_policy(harness.policy_text)
    return harness


def layout(harness: Harness, *places: int) -> None:
    """From now on only these instances exist, with new numbers."""
    from ds01.gpus.simulated import parse_inventory

    whole = parse_inventory(GPUS).observation
    slots = tuple(replace(whole.slots[place], slot=f"0:{index}") for index, place in enumerate(places))
    harness.inventory = SimulatedInventory(replace(whole, slots=slots))
    harness.set_policy(harness.policy_text)


def uuid(place: int) -> str:
    return f"MIG-00000000-0000-4000-8000-000000{place:06x}"


def listed(harness: Harness) -> dict[str, str]:
    """What `container-list --all-users` calls everybody's GPUs."""
    views = harness.gate.containers(harness.actor("root"), all_users=True)
    return {str(view.user): ", ".join(map(display_name, view.gpus or view.gpus_fixed)) for view in views}


def status(harness: Harness) -> list[tuple[str, str, str | None]]:
    rows = harness.gate.gpus(harness.actor("root")).slots
    assert len({row.slot for row in rows}) == len(rows)
    return [(display_name(row), row.uuid, row.user) for row in rows]


def test_two_leases_are_never_called_the_same(mig: Harness) -> None:
    layout(mig, 1, 2)
    create_container(mig, "alice", gpus=1)
    assert listed(mig) == {"alice": "0:0"}
    layout(mig, 0, 1, 2)
    create_container(mig, "bob", gpus=1)
    assert listed(mig) == {"alice": "0:1, was 0:0", "bob": "0:0"}
    assert status(mig) == [("0:0", uuid(0), "bob"), ("0:1, was 0:0", uuid(1), "alice"), ("0:2", uuid(2), None)]
    shown = json.loads((mig.state / "gpu-state.json").read_text())["allocations"]
    assert {name: entry["gpu_id"] for name, entry in shown.items()} == {
        "thesis._.70001": "0:1",
        "thesis._.70002": "0:0",
    }


def test_a_stopped_container_is_called_by_todays_name_too(mig: Harness) -> None:
    layout(mig, 1, 2)
    create_container(mig, "alice", gpus=1)
    mig.gate.release(mig.actor("alice"), mig.full("alice"))
    layout(mig, 0, 1, 2)
    create_container(mig, "bob", gpus=1)
    assert listed(mig) == {"alice": "0:1, was 0:0", "bob": "0:0"}


def test_a_lost_lease_hides_no_instance_that_is_there(mig: Harness) -> None:
    create_container(mig, "alice", gpus=2)
    layout(mig, 0, 2)
    assert status(mig) == [
        ("0:0", uuid(0), "alice"),
        ("0:1", uuid(2), None),
        ("gone, was 0:1", uuid(1), "alice"),
    ]
    create_container(mig, "bob", gpus=1)
    assert listed(mig) == {"alice": "0:0, gone, was 0:1", "bob": "0:1"}
    assert mig.leased()[uuid(2)] == "thesis._.70002"


def test_returning_instance_has_its_lease_and_name(mig: Harness) -> None:
    create_container(mig, "alice", gpus=1)
    layout(mig, 1, 2)
    assert status(mig)[-1] == ("0:1", uuid(2), None)
    assert listed(mig) == {"alice": "gone, was 0:0"}
    layout(mig, 0, 1, 2)
    assert status(mig)[0] == ("0:0", uuid(0), "alice")
    assert listed(mig) == {"alice": "0:0"}


def test_slot_rename_does_not_disturb_a_running_command(mig: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    layout(mig, 1, 2)
    create_container(mig, "alice", gpus=1, start=True)
    layout(mig, 0, 1, 2)
    stop = stop_module.stop_steps

    def meanwhile(*args: object, **more: object) -> object:
        create_container(mig, "bob", gpus=1)
        return stop(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(stop_module, "stop_steps", meanwhile)
    stopped = Client(mig.make_context()).stop(mig.actor("alice"), mig.full("alice"))
    assert stopped.container.state == "held"
    assert status(mig)[:2] == [("0:0", uuid(0), "bob"), ("0:1, was 0:0", uuid(1), "alice")]
    assert listed(mig) == {"alice": "0:1, was 0:0", "bob": "0:0"}


def silence(harness: Harness, *, anonymous: bool = False) -> None:
    """The GPU does not answer from now on: NVML has its index, and maybe its UUID, but none of its instances."""
    seen = harness.inventory.observe()
    gpu = replace(seen.gpus[0], unhealthy="the GPU is lost", uuid="unknown-0" if anonymous else seen.gpus[0].uuid)
    whole = replace(seen.slots[0], slot="0", uuid=gpu.uuid, kind=SlotKind.FULL, profile=None, unhealthy=gpu.unhealthy)
    harness.inventory = SimulatedInventory(replace(seen, gpus=(gpu,), slots=(whole,)))
    harness.set_policy(harness.policy_text)


def test_slot_of_a_silent_gpu_keeps_its_name(mig: Harness) -> None:
    layout(mig, 1, 2)
    create_container(mig, "alice", gpus=2)
    layout(mig, 0, 1, 2)
    assert [name for name, _, _ in status(mig)] == ["0:0", "0:1, was 0:0", "0:2, was 0:1"]
    silence(mig)
    names = ["0:1, was 0:0", "0:2, was 0:1"]
    assert listed(mig) == {"alice": ", ".join(names)}
    rows = mig.gate.gpus(mig.actor("root")).slots
    assert [(display_name(row), row.user, row.why) for row in rows[1:]] == [
        (name, "alice", "its GPU does not answer") for name in names
    ]
    with pytest.raises(Ds01Error) as error:
        mig.gate.start(mig.actor("alice"), mig.full("alice"))
    claims = refusal_in(error).claims
    assert [(claim.slot, claim.why) for claim in claims] == [(name, "its GPU does not answer") for name in names]


def test_gpu_without_uuid_shows_only_its_leases_row(harness: Harness) -> None:
    from ds01.gpus.simulated import parse_inventory

    harness.inventory = parse_inventory("1xA100")
    harness.set_policy(harness.policy_text)
    create_container(harness, "alice", gpus=1)
    silence(harness, anonymous=True)
    assert [(name, user) for name, _, user in status(harness)] == [("0", "alice")]


def test_a_lease_by_hand_takes_the_slot_that_has_the_name_today(mig: Harness) -> None:
    create_container(mig, "alice", gpus=2)
    layout(mig, 0, 2)
    rows = {row.slot: row.uuid for row in mig.gate.gpus(mig.actor("boss")).slots}
    mig.gate.allocate(mig.actor("boss"), 70002, "hand", GpuRequest(1, uuids=(rows["0:1"],)))
    assert mig.leased()[uuid(2)] == "hand._.70002"


def test_a_request_for_no_gpu_renames_nothing(mig: Harness) -> None:
    """It does not observe the GPUs, so a missing one does not matter."""
    create_container(mig, "alice", gpus=1)
    create_container(mig, "bob", gpus=0)
    assert listed(mig) == {"alice": "0:0", "bob": ""}


def test_a_lease_keeps_what_tells_its_instance_from_a_later_one(mig: Harness) -> None:
    whole = mig.inventory.observe()
    mig.inventory = SimulatedInventory(
        replace(whole, boot="one", slots=tuple(replace(slot, boot="one") for slot in whole.slots))
    )
    mig.set_policy(mig.policy_text)
    create_container(mig, "alice", gpus=1)
    lease = mig.record("alice").lease
    assert lease is not None
    ref = lease.slots[0]
    assert (ref.gpu_uuid, ref.gi, ref.ci, ref.boot) == (whole.gpus[0].uuid, 1, 0, "one")


def test_start_on_an_instance_of_another_profile_is_refused(mig: Harness) -> None:
    create_container(mig, "alice", gpus=1)
    whole = mig.inventory.observe()
    smaller = (replace(whole.slots[0], profile="1g.5gb"), *whole.slots[1:])
    mig.inventory = SimulatedInventory(replace(whole, slots=smaller))
    mig.set_policy(mig.policy_text)
    with pytest.raises(Ds01Error) as error:
        mig.gate.start(mig.actor("alice"), mig.full("alice"))
    lost = refusal_in(error)
    assert lost.rule is Rule.LOST
    assert "1g.5gb, was 2g.10gb" in (lost.claims[0].why or "")


def test_everything_that_is_there_can_be_leased_after_a_change(mig: Harness) -> None:
    create_container(mig, "alice", gpus=2)
    layout(mig, 2, 0)
    create_container(mig, "bob", gpus=1)
    with pytest.raises(NoCapacity):
        create_container(mig, "carol", gpus=1)


def test_a_lost_slot_is_none_of_those_that_the_server_has(mig: Harness) -> None:
    create_container(mig, "alice", gpus=1)
    layout(mig, 1, 2)
    seen = mig.gate.gpus(mig.actor("alice"))
    assert [row.slot for row in seen.present] == ["0:0", "0:1"]
    assert [display_name(row) for row in seen.slots if row.lost] == ["gone, was 0:0"]
