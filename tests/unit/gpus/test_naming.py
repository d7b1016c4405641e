"""What slots are called when the MIG layout has changed since their lease."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ds01.gpus.model import Kind, Observation, SlotRef
from ds01.gpus.naming import called, difference, renamed
from tests.unit.gpus.made import observed, slot_of

GPUS = observed("1xA100:3x2g.10gb")


def without_first(observation: Observation) -> Observation:
    """The first instance is destroyed, and NVML numbers the others anew."""
    slots = tuple(replace(slot, slot=f"0:{index}") for index, slot in enumerate(observation.slots[1:]))
    return replace(observation, slots=slots)


def test_a_name_follows_its_uuid_and_keeps_the_first_one_beside_it() -> None:
    ref = slot_of(GPUS, "0:1").ref
    assert called(ref) == "0:1"
    moved = renamed(ref, without_first(GPUS))
    assert (moved.slot, moved.was, called(moved)) == ("0:0", "0:1", "0:0, was 0:1")
    assert renamed(moved, GPUS) == ref


def test_a_slot_that_is_gone_is_called_by_its_uuid_and_comes_back() -> None:
    ref = slot_of(GPUS, "0:0").ref
    gone = renamed(ref, without_first(GPUS))
    assert (gone.slot, gone.was, called(gone)) == (ref.uuid, "0:0", "gone, was 0:0")
    assert renamed(gone, without_first(GPUS)) == gone
    assert renamed(gone, GPUS) == ref


def test_a_slot_whose_gpu_does_not_answer_keeps_its_name() -> None:
    ref = slot_of(GPUS, "0:1").ref
    sick = replace(GPUS, gpus=(replace(GPUS.gpus[0], unhealthy="the GPU is lost"),), slots=())
    assert renamed(ref, sick) == ref
    silent = replace(sick, gpus=(replace(sick.gpus[0], uuid="unknown-0"),))
    assert renamed(ref, silent) == ref
    moved = renamed(ref, without_first(GPUS))
    assert renamed(moved, silent) == moved
    known = replace(without_first(GPUS), gpus=sick.gpus)
    assert called(renamed(slot_of(GPUS, "0:0").ref, known)) == "gone, was 0:0"


def test_no_two_slots_are_ever_called_the_same() -> None:
    first = slot_of(GPUS, "0:0").ref
    second = next(slot.ref for slot in without_first(GPUS).slots if slot.slot == "0:0")  # leased while that was gone
    assert first.slot == second.slot
    for now in (GPUS, without_first(GPUS), replace(GPUS, slots=())):
        names = [renamed(ref, now).slot for ref in (first, second)]
        assert len(set(names)) == 2


def test_a_slot_that_is_there_differs_in_nothing() -> None:
    slot = replace(slot_of(GPUS, "0:1"), boot="one")
    assert difference(slot.ref, slot, "two") is None


def test_a_lost_slot_says_whether_the_server_was_restarted() -> None:
    ref = replace(slot_of(GPUS, "0:1").ref, boot="one")
    assert difference(ref, None, "one") == f"{ref.uuid} is gone"
    assert difference(ref, None, "two") == f"{ref.uuid} is gone since the server was restarted"
    assert difference(ref, None, None) == f"{ref.uuid} is gone"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"profile": "1g.5gb"}, "another instance now: 1g.5gb, was 2g.10gb"),
        ({"gpu_uuid": "GPU-other"}, "another instance now: GPU-other"),
        ({"gi": 9}, "GPU instance 9"),
    ],
)
def test_another_instance_under_the_same_uuid_is_not_the_one_that_was_leased(
    change: dict[str, str | int], words: str
) -> None:
    slot = slot_of(GPUS, "0:1")
    assert words in (difference(slot.ref, replace(slot, **change), None) or "")  # type: ignore[arg-type]


def test_a_lease_of_an_older_ds01_knows_less_and_differs_in_nothing() -> None:
    slot = slot_of(GPUS, "0:1")
    assert difference(SlotRef(slot.slot, slot.uuid, Kind.MIG), slot, "two") is None
