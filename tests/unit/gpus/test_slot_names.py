"""Names of slots when the MIG layout has changed since their lease."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ds01.gpus.model import GpuObservation, SlotKind, SlotRef
from ds01.gpus.slot_names import describe_mismatch, display_name, with_current_name
from tests.unit.gpus.factories import observe_gpus, slot_of

GPUS = observe_gpus("1xA100:3x2g.10gb")


def without_first(observation: GpuObservation) -> GpuObservation:
    """Return the GPUs after the first instance was destroyed and NVML renumbered the others."""
    slots = tuple(replace(slot, slot=f"0:{index}") for index, slot in enumerate(observation.slots[1:]))
    return replace(observation, slots=slots)


def test_name_follows_its_uuid_and_keeps_the_original() -> None:
    ref = slot_of(GPUS, "0:1").ref
    assert display_name(ref) == "0:1"
    moved = with_current_name(ref, without_first(GPUS))
    assert (moved.slot, moved.was, display_name(moved)) == ("0:0", "0:1", "0:0, was 0:1")
    assert with_current_name(moved, GPUS) == ref


def test_missing_slot_is_named_by_its_uuid() -> None:
    ref = slot_of(GPUS, "0:0").ref
    gone = with_current_name(ref, without_first(GPUS))
    assert (gone.slot, gone.was, display_name(gone)) == (ref.uuid, "0:0", "gone, was 0:0")
    assert with_current_name(gone, without_first(GPUS)) == gone
    assert with_current_name(gone, GPUS) == ref


def test_a_slot_whose_gpu_does_not_answer_keeps_its_name() -> None:
    ref = slot_of(GPUS, "0:1").ref
    sick = replace(GPUS, gpus=(replace(GPUS.gpus[0], unhealthy="the GPU is lost"),), slots=())
    assert with_current_name(ref, sick) == ref
    silent = replace(sick, gpus=(replace(sick.gpus[0], uuid="unknown-0"),))
    assert with_current_name(ref, silent) == ref
    moved = with_current_name(ref, without_first(GPUS))
    assert with_current_name(moved, silent) == moved
    known = replace(without_first(GPUS), gpus=sick.gpus)
    assert display_name(with_current_name(slot_of(GPUS, "0:0").ref, known)) == "gone, was 0:0"


def test_slot_names_are_unique() -> None:
    first = slot_of(GPUS, "0:0").ref
    second = next(slot.ref for slot in without_first(GPUS).slots if slot.slot == "0:0")  # leased while that was gone
    assert first.slot == second.slot
    for now in (GPUS, without_first(GPUS), replace(GPUS, slots=())):
        names = [with_current_name(ref, now).slot for ref in (first, second)]
        assert len(set(names)) == 2


def test_present_slot_has_no_mismatch() -> None:
    slot = replace(slot_of(GPUS, "0:1"), boot="one")
    assert describe_mismatch(slot.ref, slot, "two") is None


def test_lost_slot_mentions_a_restart_of_the_server() -> None:
    ref = replace(slot_of(GPUS, "0:1").ref, boot="one")
    assert describe_mismatch(ref, None, "one") == f"{ref.uuid} is gone"
    assert describe_mismatch(ref, None, "two") == f"{ref.uuid} is gone since the server was restarted"
    assert describe_mismatch(ref, None, None) == f"{ref.uuid} is gone"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"profile": "1g.5gb"}, "another instance now: 1g.5gb, was 2g.10gb"),
        ({"gpu_uuid": "GPU-other"}, "another instance now: GPU-other"),
        ({"gi": 9}, "GPU instance 9"),
    ],
)
def test_recreated_instance_with_same_uuid_is_detected(change: dict[str, str | int], words: str) -> None:
    slot = slot_of(GPUS, "0:1")
    assert words in (describe_mismatch(slot.ref, replace(slot, **change), None) or "")  # type: ignore[arg-type]


def test_lease_of_older_version_has_no_mismatch() -> None:
    slot = slot_of(GPUS, "0:1")
    assert describe_mismatch(SlotRef(slot.slot, slot.uuid, SlotKind.MIG), slot, "two") is None
