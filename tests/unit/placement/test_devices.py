"""Every form in which people and Docker name a device, and the slots it means."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ds01.engines.protocol import Devices
from ds01.placement.devices import slots_of_devices, slots_of_name
from tests.unit.gpus.factories import observe_gpus

# GPU 0 is whole, GPU 1 has three instances, GPU 2 is on MIG without one.
GPUS = observe_gpus("1xA100,1xA100:3x2g.10gb,1xA100")
GPUS = replace(GPUS, slots=GPUS.slots[:-1])
EVERYTHING = ["0", "1:0", "1:1", "1:2"]
GPU = "GPU-00000000-0000-4000-8000-00000000000"


@pytest.mark.parametrize(
    ("name", "slots"),
    [
        ("0", ["0"]),
        ("1", ["1:0", "1:1", "1:2"]),
        ("1:2", ["1:2"]),
        ("2", []),
        (f"{GPU}0", ["0"]),
        (f"{GPU}1", ["1:0", "1:1", "1:2"]),
        (f"{GPU}2", []),
        (f"{GPU}0".lower(), ["0"]),
        ("GPU-0000", EVERYTHING),
        ("MIG-00000000-0000-4000-8000-000001000002", ["1:2"]),
        (f"MIG-{GPU}1/2/0", ["1:1"]),
        (f"MIG-{GPU}1/9/0", ["1:0", "1:1", "1:2"]),
        ("nvidia.com/gpu=0", ["0"]),
        ("nvidia.com/gpu=1:0", ["1:0"]),
        ("nvidia.com/gpu=gpu0", ["0"]),
        ("nvidia.com/gpu=mig1:0", ["1:0"]),
        (f"nvidia.com/gpu={GPU}0", ["0"]),
        ("none", []),
        ("void", []),
        ("", []),
        # A name that cannot be mapped may mean any slot.
        ("all", EVERYTHING),
        ("nvidia.com/gpu=all", EVERYTHING),
        ("1:7", ["1:0", "1:1", "1:2"]),
        ("9", EVERYTHING),
        ("-1", EVERYTHING),
        ("GPU-ffffffff-0000-4000-8000-000000000000", EVERYTHING),
        ("MIG-ffffffff-0000-4000-8000-000000000000", EVERYTHING),
        (f"MIG-{GPU}7/1/0", EVERYTHING),
        ("the-big-one", EVERYTHING),
    ],
)
def test_device_name_means_its_slots(name: str, slots: list[str]) -> None:
    assert [slot.slot for slot in slots_of_name(name, GPUS)] == slots


def test_several_names_mean_each_slot_once() -> None:
    meant = slots_of_devices(Devices(("0", "1:1", f"{GPU}0")), GPUS)
    assert [slot.slot for slot in meant] == ["0", "1:1"]


def test_device_count_means_every_slot() -> None:
    assert slots_of_devices(Devices(everything=True), GPUS) == GPUS.slots
    assert slots_of_devices(Devices(), GPUS) == ()
