"""A driver that is missing for a moment, while its package is replaced, does not mean a server without GPUs."""

from __future__ import annotations

from pathlib import Path

import pytest

from ds01.errors import GpusUnreachable
from ds01.gate import queue_wait
from ds01.gpus.inventory import LIBRARY_NOT_FOUND
from ds01.gpus.model import GpuObservation
from ds01.gpus.pci import count_nvidia_cards
from tests.client import Client
from tests.harness import Harness


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


def without_driver(harness: Harness, cards: int = 0) -> None:
    harness.inventory = NoDriver(cards)
    harness.set_policy(harness.policy_text)


def test_without_a_sign_of_gpus_a_container_is_cpu_only(harness: Harness) -> None:
    without_driver(harness)
    made = harness.gate.create(harness.actor("alice"), harness.request("alice"))
    assert made.container.gpus == ()


def test_cards_on_the_bus_are_gpus_that_cannot_be_asked(harness: Harness) -> None:
    without_driver(harness, cards=2)
    with pytest.raises(GpusUnreachable) as error:
        harness.gate.create(harness.actor("alice"), harness.request("alice"))
    assert "2 NVIDIA cards are on the PCI bus" in (error.value.why or "")
    assert harness.records() == []


@pytest.mark.parametrize("stopped", [False, True], ids=["a lease", "the devices of a stopped container"])
def test_a_container_with_a_gpu_is_a_sign_of_gpus(harness: Harness, stopped: bool) -> None:
    harness.gate.create(harness.actor("bob"), harness.request("bob", gpus=1))
    if stopped:
        harness.gate.release(harness.actor("bob"), harness.full("bob"))
    without_driver(harness)
    with pytest.raises(GpusUnreachable) as error:
        harness.gate.create(harness.actor("alice"), harness.request("alice"))
    assert "thesis of bob has GPU 1:0" in (error.value.why or "")
    with pytest.raises(GpusUnreachable):
        harness.gate.gpus(harness.actor("alice"))


def test_a_driver_that_finds_no_gpu_any_more_is_no_answer(harness: Harness) -> None:
    harness.gate.create(harness.actor("bob"), harness.request("bob", gpus=1))
    harness.inventory = NoDevices()
    harness.set_policy(harness.policy_text)
    with pytest.raises(GpusUnreachable) as error:
        harness.gate.create(harness.actor("alice"), harness.request("alice"))
    assert "thesis of bob has GPU 1:0" in (error.value.why or "")
    assert harness.gate.create(harness.actor("alice"), harness.request("alice", gpus=0)).container.gpus == ()


def test_a_driver_that_never_had_a_gpu_makes_a_server_without(harness: Harness) -> None:
    harness.inventory = NoDevices()
    harness.set_policy(harness.policy_text)
    assert harness.gate.create(harness.actor("alice"), harness.request("alice")).container.gpus == ()


def test_a_container_without_gpu_needs_no_driver(harness: Harness) -> None:
    without_driver(harness, cards=2)
    made = harness.gate.create(harness.actor("alice"), harness.request("alice", gpus=0))
    assert made.container.gpus == ()


def test_a_wait_goes_on_while_the_driver_is_missing(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_wait, "RETRY_INTERVAL", 0.01)
    for name in ("a", "b"):
        harness.gate.create(harness.actor("bob"), harness.request("bob", name, 2 if name == "a" else 0))
    there = harness.inventory

    def comes_back(seconds: float) -> None:
        harness.inventory = there

    context = harness.make_context(sleep=comes_back)
    harness.gate.create(harness.actor("root"), harness.request("root", "last", 1))
    harness.gate.create(harness.actor("carol"), harness.request("carol", "whole", 1))
    steps = Client(context).wait(harness.actor("alice"), harness.request("alice"))
    assert next(steps).waiting is not None
    harness.gate.remove(harness.actor("bob"), harness.full("bob", "a"))
    harness.inventory = NoDriver(cards=1)
    acted = next(steps).acted
    assert acted is not None
    assert len(acted.container.gpus) == 1


def test_nvidia_cards_are_counted_once(tmp_path: Path) -> None:
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
