"""How ds01 reads NVML, through the real nvidia-ml-py and a stand-in library."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ds01.errors import GpusUnreachable
from ds01.gpus.model import GpuProcess, MigState, Slot, SlotKind
from ds01.gpus.requirements import DriverInfo, GpuInfo
from tests.nvml.standin import Server, build, compiler

GIB = 1 << 30
WHOLE = f"gpu uuid=GPU-a name=NVIDIA_A100-SXM4-40GB memory={40 * GIB} used={4 * GIB}"
ON_MIG = f"gpu uuid=GPU-m name=NVIDIA_A100-SXM4-40GB memory={40 * GIB} mig=1 max=7"
LOST, NO_PERMISSION, NOT_SUPPORTED, UNKNOWN = 15, 4, 3, 999
ID = "0123456789abcdef" * 4


def instance(place: int, gpu: int = 0, *, more: str = "") -> str:
    """A line of the stand-in: a 2g.10gb instance."""
    name = "NVIDIA_A100-SXM4-40GB_MIG_2g.10gb"
    return f"mig {gpu}:{place} uuid=MIG-{gpu}-{place} name={name} memory={10 * GIB} gi={place + 3} ci=0 slices=2 {more}"


def states(slots: tuple[Slot, ...]) -> dict[str, bool]:
    """Return whether each slot is healthy."""
    return {slot.slot: slot.unhealthy is None for slot in slots}


def test_a_whole_gpu_with_all_that_it_measures(server: Server) -> None:
    server.show(
        "driver 550.54.15",
        f"{WHOLE} mig=0 ecc=0 remap=0 power=55500 temperature=41 energy=123456 utilisation=7",
    )
    seen = server.observe()
    (gpu,), (slot,) = seen.gpus, seen.slots
    assert (seen.driver, seen.simulated) == ("550.54.15", False)
    assert (gpu.index, gpu.uuid, gpu.model, gpu.mig, gpu.unhealthy) == (
        0, "GPU-a", "NVIDIA A100-SXM4-40GB", MigState.OFF, None,
    )  # fmt: skip
    assert (gpu.memory_bytes, gpu.memory_used_bytes) == (40 * GIB, 4 * GIB)
    assert (gpu.utilisation_percent, gpu.temperature_celsius, gpu.power_watts, gpu.energy_joules) == (
        7.0, 41.0, 55.5, 123.456,
    )  # fmt: skip
    assert (gpu.ecc_errors, gpu.remap_failure) == (0, False)
    assert (slot.slot, slot.uuid, slot.kind, slot.gpu_uuid) == ("0", "GPU-a", SlotKind.FULL, "GPU-a")
    assert (slot.memory_bytes, slot.memory_used_bytes, slot.processes) == (40 * GIB, 4 * GIB, ())
    assert server.still_open == 0


def test_unsupported_measurements_are_unknown(server: Server) -> None:
    server.show(WHOLE)
    (gpu,) = server.observe().gpus
    assert (gpu.mig, gpu.unhealthy) == (MigState.OFF, None)
    assert (gpu.utilisation_percent, gpu.temperature_celsius, gpu.power_watts, gpu.energy_joules) == (None,) * 4
    assert (gpu.ecc_errors, gpu.remap_failure) == (None, None)


@pytest.mark.skipif(compiler() is None, reason="needs a C compiler")
def test_reserved_memory_does_not_count_as_used(server: Server, tmp_path: Path) -> None:
    line = f"{WHOLE} reserved={GIB}"
    server.show(line)
    assert server.observe().slots[0].memory_used_bytes == 4 * GIB

    old = Server(build(tmp_path / "old", without=("nvmlDeviceGetMemoryInfo_v2",)), tmp_path / "gpus")
    old.show(line)
    assert old.observe().slots[0].memory_used_bytes == 5 * GIB  # which includes the reserved memory


def test_driver_properties_for_image_requirements(server: Server) -> None:
    server.show("driver 550.54.15 12040", f"{WHOLE} brand=2 capability=80", f"{WHOLE} brand=15", WHOLE)
    facts = server.driver_info()
    assert (facts.driver, facts.cuda) == ("550.54.15", "12.4")
    assert facts.gpus == (GpuInfo("tesla", "8.0"), GpuInfo("geforcertx", None), GpuInfo())
    assert server.still_open == 0


def test_unavailable_driver_properties_are_unknown(server: Server) -> None:
    server.show("driver 450.1", WHOLE, f"error nvmlDeviceGetHandleByIndex_v2 0 {LOST}")
    assert server.driver_info() == DriverInfo("450.1", None, (GpuInfo(),))
    server.show(WHOLE, "error nvmlInitWithFlags * 9")
    with pytest.raises(GpusUnreachable):
        server.driver_info()


def test_slots_carry_the_boot_id(server: Server) -> None:
    server.show(WHOLE)
    assert server.observe().boot is None
    path = server.proc / "sys/kernel/random/boot_id"
    path.parent.mkdir(parents=True)
    path.write_text("5d1b\n")
    seen = server.observe()
    assert (seen.boot, seen.slots[0].ref.boot, seen.slots[0].ref.gpu_uuid) == ("5d1b", "5d1b", "GPU-a")


def test_instances_keep_their_index_across_gaps(server: Server) -> None:
    server.show(ON_MIG, instance(0), instance(2), instance(6))
    seen = server.observe()
    assert [slot.slot for slot in seen.slots] == ["0:0", "0:2", "0:6"]
    slot = seen.slots[1]
    assert (slot.uuid, slot.kind, slot.gpu, slot.gpu_uuid, slot.profile) == (
        "MIG-0-2",
        SlotKind.MIG,
        0,
        "GPU-m",
        "2g.10gb",
    )
    assert (slot.slices, slot.gi, slot.ci, slot.memory_bytes, slot.processes) == (2, 5, 0, 10 * GIB, ())
    assert seen.gpus[0].mig is MigState.INSTANCES

    server.show(ON_MIG, instance(2))
    assert [slot.slot for slot in server.observe().slots] == ["0:2"]


def test_profile_falls_back_to_attributes(server: Server) -> None:
    server.show(
        ON_MIG,
        "mig 0:0 uuid=MIG-GPU-m/1/0 slices=3 compute=1 memory_mib=19968 gi=1 ci=0",
        "mig 0:1 uuid=MIG-GPU-m/2/0",
    )
    first, second = server.observe().slots
    assert (first.profile, first.slices, first.memory_bytes) == ("1c.3g.20gb", 1, 19968 << 20)
    assert (second.profile, second.gi, second.memory_used_bytes) == (None, None, None)


def test_the_four_mig_states(server: Server) -> None:
    server.show(
        f"{WHOLE} mig=0",
        f"{ON_MIG}",
        f"{ON_MIG}".replace("GPU-m", "GPU-n"),
        f"{ON_MIG} pending=0",
        f"{WHOLE} mig=0 pending=1",
        instance(0, 2),
        instance(1, 3),
    )
    seen = server.observe()
    assert [gpu.mig for gpu in seen.gpus] == [
        MigState.OFF,
        MigState.EMPTY,
        MigState.INSTANCES,
        MigState.PENDING,
        MigState.PENDING,
    ]
    # An empty MIG GPU offers nothing; a pending one is shown but not offered.
    assert states(seen.slots) == {"0": True, "2:0": True, "3:1": False, "4": False}


def test_without_enable_mig_no_mig_gpu_is_offered(server: Server) -> None:
    server.show(ON_MIG, WHOLE, instance(0))
    assert [slot.slot for slot in server.observe(enable_mig=False).slots] == ["1"]


@pytest.mark.parametrize(
    ("words", "why"),
    [("ecc=3 remap=0", "3 uncorrectable memory errors"), ("ecc=0 remap=1", "could not be remapped")],
)
def test_broken_memory_makes_all_instances_unhealthy(server: Server, words: str, why: str) -> None:
    server.show(f"{ON_MIG} {words}", WHOLE, instance(0), instance(1))
    seen = server.observe()
    assert why in (seen.gpus[0].unhealthy or "")
    assert states(seen.slots) == {"0:0": False, "0:1": False, "1": True}


@pytest.mark.parametrize(
    "function",
    [
        "nvmlDeviceGetHandleByIndex_v2",
        "nvmlDeviceGetUUID",
        "nvmlDeviceGetMemoryInfo_v2",
        "nvmlDeviceGetMigMode",
        "nvmlDeviceGetComputeRunningProcesses_v3",
        "nvmlDeviceGetTotalEccErrors",
    ],
)
def test_lost_gpu_is_shown_and_leaves_the_others_alone(server: Server, function: str) -> None:
    server.show(WHOLE, WHOLE.replace("GPU-a", "GPU-b"), WHOLE.replace("GPU-a", "GPU-c"), f"error {function} 1 {LOST}")
    seen = server.observe()
    assert states(seen.slots) == {"0": True, "1": False, "2": True}
    assert "lost" in (seen.gpus[1].unhealthy or "")
    assert seen.slots[1].processes is None
    known = function not in ("nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetUUID")
    assert seen.slots[1].uuid == ("GPU-b" if known else "unknown-1")
    assert server.still_open == 0


def test_gpu_lost_midway_keeps_observed_instances(server: Server) -> None:
    server.show(ON_MIG, instance(0), instance(1), instance(2), f"error nvmlDeviceGetUUID 0:1 {LOST}")
    assert states(server.observe().slots) == {"0:0": False}


def test_unresponsive_instance_leaves_the_others_alone(server: Server) -> None:
    server.show(ON_MIG, instance(0), instance(1), instance(2), f"error nvmlDeviceGetUUID 0:1 {UNKNOWN}")
    assert states(server.observe().slots) == {"0:0": True, "0:1": False, "0:2": True}


def test_processes_by_slot_with_their_names_and_containers(server: Server) -> None:
    for pid, name, cgroup in ((11, "python3", f"0::/system.slice/docker-{ID}.scope\n"), (12, "Xorg", "0::/init\n")):
        (server.proc / str(pid)).mkdir(parents=True)
        (server.proc / str(pid) / "comm").write_text(f"{name}\n")
        (server.proc / str(pid) / "cgroup").write_text(cgroup)
    server.show(
        ON_MIG,
        WHOLE,
        instance(0),
        instance(1),
        f"process 0:1 pid=11 memory={GIB}",
        "process 1 pid=12 type=graphics",
        "process 1 pid=13 type=mps",
        "process 1 pid=9",
    )
    first, second, whole = server.observe().slots
    assert first.processes == ()
    assert second.processes == (GpuProcess(11, "python3", ID, GIB),)
    assert whole.processes == (GpuProcess(9), GpuProcess(12, "Xorg", graphics_only=True), GpuProcess(13))


def test_process_with_compute_is_not_graphics_only(server: Server) -> None:
    server.show(WHOLE, "process 0 pid=9 type=graphics memory=1024", "process 0 pid=9 memory=1024")
    assert server.observe().slots[0].processes == (GpuProcess(9, memory_bytes=1024),)


@pytest.mark.parametrize("code", [NOT_SUPPORTED, NO_PERMISSION, UNKNOWN])
def test_failed_process_query_is_unknown(server: Server, code: int) -> None:
    server.show(WHOLE, WHOLE.replace("GPU-a", "GPU-b"), f"error nvmlDeviceGetComputeRunningProcesses_v3 1 {code}")
    first, second = server.observe().slots
    assert (first.processes, second.processes, second.unhealthy) == ((), None, None)
    assert (first.lists_processes, second.lists_processes) == (True, code != NOT_SUPPORTED)


def test_unsupported_graphics_query_means_no_graphics(server: Server) -> None:
    function = "error nvmlDeviceGetGraphicsRunningProcesses_v3"
    server.show(WHOLE, WHOLE, f"{function} 0 {NOT_SUPPORTED}", f"{function} 1 {NO_PERMISSION}")
    assert [slot.processes for slot in server.observe().slots] == [(), None]


@pytest.mark.parametrize(
    ("code", "problem"),
    [(9, "driver_not_loaded"), (18, "version_mismatch"), (13, "function_not_found"), (4, "no_permission"),
     (999, "unknown")],
)  # fmt: skip
def test_failed_init_says_why_and_what_to_do(server: Server, code: int, problem: str) -> None:
    server.show(WHOLE, f"error nvmlInitWithFlags * {code}")
    with pytest.raises(GpusUnreachable) as error:
        server.observe()
    assert (error.value.data or {})["problem"] == problem
    assert error.value.why
    assert error.value.hint
    assert server.still_open == 0


def test_missing_library_is_reported_with_the_cards(tmp_path: Path) -> None:
    if Path("/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1").exists():
        pytest.skip("this machine has NVIDIA's library")
    card = tmp_path / "sys/bus/pci/devices/0000:01:00.0"
    card.mkdir(parents=True)
    (card / "vendor").write_text("0x10de\n")
    (card / "class").write_text("0x030200\n")
    for kernel, cards in ((tmp_path / "nothing", 0), (tmp_path / "sys", 1)):
        with pytest.raises(GpusUnreachable) as error:
            Server(tmp_path, tmp_path / "gpus", sys=kernel).observe()
        data = error.value.data or {}
        assert (data["problem"], data["cards"]) == ("library_not_found", cards)


def test_nvml_is_closed_after_an_error(server: Server) -> None:
    server.show(WHOLE, "error nvmlDeviceGetCount_v2 * 4")
    with pytest.raises(GpusUnreachable) as error:
        server.observe()
    assert (error.value.data or {})["problem"] == "no_permission"
    assert server.still_open == 0


@pytest.mark.skipif(compiler() is None, reason="needs a C compiler")
def test_an_old_driver_lacks_functions(tmp_path: Path) -> None:
    old = build(
        tmp_path / "old",
        without=(
            "nvmlDeviceGetMigMode",
            "nvmlDeviceGetComputeRunningProcesses_v3",
            "nvmlDeviceGetMPSComputeRunningProcesses_v3",
            "nvmlDeviceGetRemappedRows",
        ),
    )
    server = Server(old, tmp_path / "gpus")
    server.show(WHOLE, "process 0 pid=9")
    (gpu,), (slot,) = (seen := server.observe()).gpus, seen.slots
    assert (gpu.mig, gpu.unhealthy, gpu.remap_failure) == (MigState.OFF, None, None)
    assert slot.processes == (GpuProcess(9),)

    older = build(tmp_path / "older", without=("nvmlDeviceGetGraphicsRunningProcesses_v3",))
    assert Server(older, tmp_path / "gpus").observe().slots[0].processes is None

    ancient = build(tmp_path / "ancient", without=("nvmlDeviceGetCount_v2",))
    with pytest.raises(GpusUnreachable) as error:
        Server(ancient, tmp_path / "gpus").observe()
    assert (error.value.data or {})["problem"] == "function_not_found"


def test_gpu_models_load_without_pynvml() -> None:
    gpus = "from ds01.gpus import inventory, model, simulated"
    placement = "from ds01.placement import allocation_input, allocator, outside_use"
    program = f"import sys\n{gpus}\n{placement}\nsys.exit('pynvml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
