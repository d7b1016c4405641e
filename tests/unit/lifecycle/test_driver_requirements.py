"""An image that needs a newer CUDA than the driver's is refused before anything is leased."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ds01.errors import InvalidState, NoCapacity
from ds01.gpus.requirements import DriverInfo, GpuInfo
from ds01.gpus.simulated import SimulatedInventory
from tests.actions import create_container
from tests.harness import Harness

TESLA = GpuInfo("tesla", "8.0")


@pytest.fixture
def needy(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> Harness:
    """A server with CUDA 12.4, on which every image requires CUDA 12.8."""
    inventory = harness.inventory
    assert isinstance(inventory, SimulatedInventory)
    harness.inventory = replace(inventory, driver=DriverInfo("550.54.15", "12.4", (TESLA, TESLA)))
    harness.set_policy(harness.policy_text)
    image = harness.engine.image

    def requires(reference: str) -> Any:
        found = image(reference)
        assert found is not None
        return replace(found, environment={**found.environment, "NVIDIA_REQUIRE_CUDA": "cuda>=12.8"})

    monkeypatch.setattr(harness.engine, "image", requires)
    return harness


def test_both_versions_are_named_and_nothing_is_leased(needy: Harness) -> None:
    for act in (needy.gate.plan, needy.gate.create):
        with pytest.raises(InvalidState) as error:
            act(needy.actor("alice"), needy.request("alice"))
        assert "needs CUDA 12.8 or newer" in error.value.message
        assert "driver has CUDA 12.4" in error.value.message
        assert "550.54.15" in (error.value.why or "")
    assert needy.records() == []


def test_without_a_gpu_the_driver_does_not_matter(needy: Harness) -> None:
    create_container(needy, "alice", gpus=0)


def test_wait_is_refused_if_no_driver_fits_the_image(needy: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    requires = needy.engine.image
    monkeypatch.setattr(needy.engine, "image", type(needy.engine).image.__get__(needy.engine))
    for login, gpus in (("alice", 2), ("bob", 1), ("carol", 1)):
        create_container(needy, login, gpus=gpus)
    with pytest.raises(NoCapacity):
        create_container(needy, "root", gpus=1)
    monkeypatch.setattr(needy.engine, "image", requires)
    with pytest.raises(InvalidState, match=r"CUDA 12\.8"):
        next(needy.gate.wait(needy.actor("root"), needy.request("root", gpus=1)))


@pytest.mark.parametrize(("cuda", "gpus"), [("12.8", (TESLA,)), ("13.0", ()), (None, ())])
def test_a_driver_that_may_do_is_no_obstacle(needy: Harness, cuda: str | None, gpus: tuple[GpuInfo, ...]) -> None:
    inventory = needy.inventory
    assert isinstance(inventory, SimulatedInventory)
    needy.inventory = replace(inventory, driver=DriverInfo("570.1", cuda, gpus))
    needy.set_policy(needy.policy_text)
    create_container(needy, "alice", gpus=1)


def test_recreate_needs_an_image_that_the_driver_can_run(needy: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    requires = needy.engine.image
    monkeypatch.setattr(needy.engine, "image", type(needy.engine).image.__get__(needy.engine))
    full = create_container(needy, "alice", gpus=1)
    monkeypatch.setattr(needy.engine, "image", requires)
    with pytest.raises(InvalidState, match=r"CUDA 12\.8"):
        needy.gate.start(needy.actor("alice"), full, recreate=True)
    with pytest.raises(InvalidState, match=r"CUDA 12\.8"):
        needy.gate.remake(needy.actor("alice"), full)
    assert list(needy.leased().values()) == [full]
