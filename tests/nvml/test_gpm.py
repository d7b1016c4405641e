"""Utilisation of MIG instances: GPM on Hopper, unknown elsewhere. No real waits; every sample is freed."""

from __future__ import annotations

from pathlib import Path

import pytest

from ds01.gpus.model import GpuObservation
from tests.harness import Harness
from tests.nvml.standin import Server, build, compiler
from tests.tick_harness import TickHarness

GIB = 1 << 30
NOT_SUPPORTED, NO_PERMISSION, MEMORY, LOST, UNKNOWN = 3, 4, 20, 15, 999


def hopper(index: int = 0, *, more: str = "gpm=1") -> str:
    """A line of the stand-in: an H100 on MIG."""
    return f"gpu uuid=GPU-{index} name=NVIDIA_H100_80GB_HBM3 memory={80 * GIB} mig=1 max=7 {more}"


def instance(place: int, graphics: str | None, gpu: int = 0, *, gi: int | None = None, more: str = "") -> str:
    """A line of the stand-in: a 1g.10gb instance, with what GPM says of its GPU instance."""
    name, busy = "NVIDIA_H100_80GB_HBM3_MIG_1g.10gb", f"graphics={graphics}" if graphics is not None else ""
    gi = place + 3 if gi is None else gi
    return f"mig {gpu}:{place} uuid=MIG-{gpu}-{place} name={name} memory={10 * GIB} gi={gi} ci=0 slices=1 {busy} {more}"


def busy(seen: GpuObservation) -> dict[str, float | None]:
    return {slot.slot: slot.utilisation_percent for slot in seen.slots}


def test_hopper_instances_report_utilisation_after_one_wait(server: Server) -> None:
    server.show(hopper(0), hopper(1), instance(0, "97.5"), instance(4, "0"), instance(1, "12", gpu=1, more="sm=3"))
    assert busy(server.observe(utilisation=True)) == {"0:0": 97.5, "0:4": 0.0, "1:1": 12.0}
    assert server.slept == [0.1]
    assert server.samples == (6, 0)
    assert server.still_open == 0


def test_observation_without_utilisation_takes_no_samples(server: Server) -> None:
    server.show(hopper(), instance(0, "97.5"))
    assert busy(server.observe()) == {"0:0": None}
    assert (server.slept, server.samples) == ([], (0, 0))


@pytest.mark.parametrize(
    ("says", "known"),
    [("graphics=2 sm=40", 40.0), ("sm=40", 40.0), ("graphics=nan sm=1", 1.0), ("graphics=nan", None), ("", None)],
)
def test_either_metric_counts_as_activity(server: Server, says: str, known: float | None) -> None:
    server.show(hopper(), instance(0, None, more=says))
    assert busy(server.observe(utilisation=True)) == {"0:0": known}


def test_utilisation_is_unknown_on_ampere_without_a_wait(server: Server) -> None:
    server.show(hopper(more="gpm=0"), hopper(1, more=""), instance(0, "97"), instance(0, "97", gpu=1))
    assert busy(server.observe(utilisation=True)) == {"0:0": None, "1:0": None}
    assert (server.slept, server.samples) == ([], (0, 0))


def test_whole_gpus_keep_their_own_counter(server: Server) -> None:
    server.show(f"gpu uuid=GPU-0 name=NVIDIA_H100 memory={GIB} mig=0 gpm=1 utilisation=7")
    seen = server.observe(utilisation=True)
    assert (seen.gpus[0].utilisation_percent, busy(seen), server.slept) == (7.0, {"0": None}, [])


def test_unoffered_instances_are_not_sampled(server: Server) -> None:
    server.show(hopper(), instance(0, "97"))
    assert server.observe(enable_mig=False, utilisation=True).slots == ()
    assert server.samples == (0, 0)


def test_shared_gpu_instances_have_unknown_utilisation(server: Server) -> None:
    server.show(hopper(), instance(0, "97", gi=1), instance(1, "97", gi=1), instance(2, "5", gi=2))
    assert busy(server.observe(utilisation=True)) == {"0:0": None, "0:1": None, "0:2": 5.0}


@pytest.mark.skipif(compiler() is None, reason="needs a C compiler")
@pytest.mark.parametrize(
    "missing",
    [
        ("nvmlGpmQueryDeviceSupport", "nvmlGpmSampleAlloc", "nvmlGpmSampleFree", "nvmlGpmMigSampleGet",
         "nvmlGpmMetricsGet"),
        ("nvmlGpmMigSampleGet",),  # newer than the others
    ],
    ids=["all", "of MIG"],
)  # fmt: skip
def test_utilisation_is_unknown_with_an_old_library(tmp_path: Path, missing: tuple[str, ...]) -> None:
    server = Server(build(tmp_path / "old", without=missing), tmp_path / "gpus")
    server.show(hopper(), instance(0, "97"))
    seen = server.observe(utilisation=True)
    assert busy(seen) == {"0:0": None}
    assert seen.slots[0].unhealthy is None
    assert (server.slept, server.samples[1]) == ([], 0)


@pytest.mark.parametrize("code", [NOT_SUPPORTED, NO_PERMISSION, LOST, UNKNOWN])
@pytest.mark.parametrize("fault", ["nvmlGpmMigSampleGet 0:1 {}", "nvmlGpmMigSampleGet 0:1 {} 2",
                                   "nvmlGpmMetricsGet 0:1 {}"])  # fmt: skip
def test_failed_sample_affects_only_its_instance(server: Server, fault: str, code: int) -> None:
    server.show(hopper(), *(instance(place, f"{place + 10}") for place in range(3)), f"error {fault.format(code)}")
    seen = server.observe(utilisation=True)
    assert busy(seen) == {"0:0": 10.0, "0:1": None, "0:2": 12.0}
    assert all(slot.unhealthy is None for slot in seen.slots)
    assert (server.slept, server.samples[1]) == ([0.1], 0)


def test_failed_support_query_affects_only_its_gpu(server: Server) -> None:
    server.show(
        hopper(), hopper(1), instance(0, "10"), instance(0, "11", gpu=1), f"error nvmlGpmQueryDeviceSupport 0 {UNKNOWN}"
    )
    assert busy(server.observe(utilisation=True)) == {"0:0": None, "1:0": 11.0}


@pytest.mark.parametrize("call", [1, 3, 4])
def test_samples_are_freed_when_a_later_one_fails(server: Server, call: int) -> None:
    server.show(hopper(), instance(0, "10"), instance(1, "11"), f"error nvmlGpmSampleAlloc * {MEMORY} {call}")
    known = {1: {"0:0": None, "0:1": None}, 3: {"0:0": None, "0:1": None}, 4: {"0:0": 10.0, "0:1": None}}
    assert busy(server.observe(utilisation=True)) == known[call]
    assert server.samples[1] == 0


# the tick


class Shown:
    """The GPUs of a stand-in, and how often they were measured."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.measured = 0

    def observe(self, *, utilisation: bool = False) -> GpuObservation:
        self.measured += utilisation
        return self.server.observe(utilisation=utilisation)


@pytest.mark.parametrize(
    ("gpm", "graphics", "state", "why"),
    [("gpm=1", "80", "active", "GPU 80%"), ("gpm=1", "2", "idle", None), ("gpm=0", "80", "idle", None)],
    ids=["it computes", "it does not", "nobody knows"],
)
def test_gpu_work_without_cpu_counts_as_activity(
    harness: Harness, server: Server, gpm: str, graphics: str, state: str, why: str | None
) -> None:
    server.show(hopper(more=gpm), instance(0, graphics))
    harness.inventory = shown = Shown(server)
    harness.set_policy("defaults: {idle_timeout: 10h}\n")
    ticker = TickHarness(harness)
    harness.gate.create(harness.actor("alice"), harness.request("alice"))
    harness.gate.start(harness.actor("alice"), harness.full("alice"))
    assert harness.record("alice").slots == ("0:0",)
    assert shown.measured == 0
    ticker.tick(seconds=1)
    ticker.set_cpu_time(0)
    ticker.tick(minutes=5)
    assert shown.measured == 2
    activity = harness.record("alice").activity
    assert (activity["state"], activity["why"]) == (state, why)
    idle = ticker.tick(hours=9)
    assert bool(idle.warned) is (state == "idle")
