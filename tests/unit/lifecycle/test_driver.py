"""A driver that is missing for a moment, as while its package is replaced, makes no server without GPUs."""

from __future__ import annotations

from pathlib import Path

import pytest

from ds01.errors import GpusUnreachable
from ds01.gate import wait
from ds01.gpus.inventory import LIBRARY_NOT_FOUND
from ds01.gpus.model import GpuObservation
from ds01.gpus.pci import count_nvidia_cards
from tests.bed import Bed
from tests.client import Client


class NoDriver:
    """NVML without its library; `cards` of NVIDIA are on the bus."""

    def __init__(self, cards: int = 0) -> None:
        self.cards = cards

    def observe(self, *, utilisation: bool = False) -> GpuObservation:
        raise GpusUnreachable("The GPUs cannot be asked.", data={"problem": LIBRARY_NOT_FOUND, "cards": self.cards})


class NoDevices:
    """NVML with a driver that finds no GPU: all have failed, or were taken from it."""

    def observe(self, *, utilisation: bool = False) -> GpuObservation:
        return GpuObservation((), (), "550.54")


def without_driver(bed: Bed, cards: int = 0) -> None:
    bed.inventory = NoDriver(cards)
    bed.set_policy(bed.policy_text)


def test_without_a_sign_of_gpus_a_container_is_cpu_only(bed: Bed) -> None:
    without_driver(bed)
    made = bed.gate.create(bed.actor("alice"), bed.request("alice"))
    assert made.container.gpus == ()


def test_cards_on_the_bus_are_gpus_that_cannot_be_asked(bed: Bed) -> None:
    without_driver(bed, cards=2)
    with pytest.raises(GpusUnreachable) as error:
        bed.gate.create(bed.actor("alice"), bed.request("alice"))
    assert "2 NVIDIA cards are on the PCI bus" in (error.value.why or "")
    assert bed.records() == []


@pytest.mark.parametrize("stopped", [False, True], ids=["a lease", "the devices of a stopped container"])
def test_a_container_with_a_gpu_is_a_sign_of_gpus(bed: Bed, stopped: bool) -> None:
    bed.gate.create(bed.actor("bob"), bed.request("bob", gpus=1))
    if stopped:
        bed.gate.release(bed.actor("bob"), bed.full("bob"))
    without_driver(bed)
    with pytest.raises(GpusUnreachable) as error:
        bed.gate.create(bed.actor("alice"), bed.request("alice"))
    assert "thesis of bob has GPU 1:0" in (error.value.why or "")
    with pytest.raises(GpusUnreachable):
        bed.gate.gpus(bed.actor("alice"))


def test_a_driver_that_finds_no_gpu_any_more_is_no_answer(bed: Bed) -> None:
    bed.gate.create(bed.actor("bob"), bed.request("bob", gpus=1))
    bed.inventory = NoDevices()
    bed.set_policy(bed.policy_text)
    with pytest.raises(GpusUnreachable) as error:
        bed.gate.create(bed.actor("alice"), bed.request("alice"))
    assert "thesis of bob has GPU 1:0" in (error.value.why or "")
    assert bed.gate.create(bed.actor("alice"), bed.request("alice", gpus=0)).container.gpus == ()


def test_a_driver_that_never_had_a_gpu_makes_a_server_without(bed: Bed) -> None:
    bed.inventory = NoDevices()
    bed.set_policy(bed.policy_text)
    assert bed.gate.create(bed.actor("alice"), bed.request("alice")).container.gpus == ()


def test_a_container_without_gpu_needs_no_driver(bed: Bed) -> None:
    without_driver(bed, cards=2)
    made = bed.gate.create(bed.actor("alice"), bed.request("alice", gpus=0))
    assert made.container.gpus == ()


def test_a_wait_goes_on_while_the_driver_is_missing(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait, "TRY_EVERY", 0.01)
    for name in ("a", "b"):
        bed.gate.create(bed.actor("bob"), bed.request("bob", name, 2 if name == "a" else 0))
    there = bed.inventory

    def comes_back(seconds: float) -> None:
        bed.inventory = there

    context = bed.make_context(sleep=comes_back)
    bed.gate.create(bed.actor("root"), bed.request("root", "last", 1))
    bed.gate.create(bed.actor("carol"), bed.request("carol", "whole", 1))
    steps = Client(context).wait(bed.actor("alice"), bed.request("alice"))
    assert next(steps).waiting is not None
    bed.gate.remove(bed.actor("bob"), bed.full("bob", "a"))
    bed.inventory = NoDriver(cards=1)
    acted = next(steps).acted
    assert acted is not None
    assert len(acted.container.gpus) == 1


def test_the_cards_of_nvidia_are_counted_without_their_other_functions(tmp_path: Path) -> None:
    assert count_nvidia_cards(tmp_path) == 0
    for place, vendor, kind in (
        ("0000:01:00.0", "0x10de", "0x030200"),
        ("0000:01:00.1", "0x10de", "0x040300"),
        ("0000:02:00.0", "0x8086", "0x030000"),
    ):
        folder = tmp_path / "bus/pci/devices" / place
        folder.mkdir(parents=True)
        (folder / "vendor").write_text(f"{vendor}\n")
        (folder / "class").write_text(f"{kind}\n")
    assert count_nvidia_cards(tmp_path) == 1
