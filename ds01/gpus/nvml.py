"""Observe GPUs through NVIDIA's driver. The only module that imports pynvml.

Each observation opens and closes NVML, since handles become invalid with their MIG instance and the driver may be
upgraded under a loaded library. An error on one GPU makes only that GPU unhealthy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pynvml
from pynvml import NVMLError

from ds01.dataclass import dataclass
from ds01.errors import GpusUnreachable
from ds01.gpus import gpm
from ds01.gpus.inventory import LIBRARY_NOT_FOUND
from ds01.gpus.model import Gpu, GpuObservation, GpuProcess, MigState, Slot, SlotKind
from ds01.gpus.pci import count_nvidia_cards
from ds01.gpus.processes import process_container, process_name, read_boot_id
from ds01.gpus.profiles import profile_from_attributes, profile_in_device_name, profile_slices
from ds01.gpus.requirements import DriverInfo, GpuInfo
from ds01.gpus.slot_names import UNKNOWN_UUID_PREFIX
from ds01.system import clock
from ds01.system.clock import Sleep

# NVML's code -> `data["problem"]`, why, and what to do.
_PROBLEMS: dict[int, tuple[str, str, str]] = {
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: (
        LIBRARY_NOT_FOUND,
        "libnvidia-ml.so.1 is missing: no NVIDIA driver is installed on this server",
        "install NVIDIA's driver; a server without GPUs needs none",
    ),
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: (
        "driver_not_loaded",
        "NVIDIA's library is installed, but its kernel module is not loaded",
        "sudo modprobe nvidia; if that fails, check dmesg: after a kernel upgrade the module must be built again",
    ),
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: (
        "version_mismatch",
        "the driver was upgraded while the old kernel module is still loaded",
        "reboot the server, or stop everything that uses a GPU and load the module again",
    ),
    pynvml.NVML_ERROR_FUNCTION_NOT_FOUND: (
        "function_not_found",
        "the installed driver is too old: its library lacks a function that ds01 needs",
        "upgrade NVIDIA's driver to 470 or later",
    ),
    pynvml.NVML_ERROR_NO_PERMISSION: (
        "no_permission",
        "this account may not use the NVIDIA devices",
        "check the modes of /dev/nvidia*; sudo usermod -aG video LOGIN, where the group video owns them",
    ),
}

# NVML's brands, by the names that images use in `NVIDIA_REQUIRE_CUDA`.
_BRANDS = {
    pynvml.NVML_BRAND_UNKNOWN: "unknown",
    pynvml.NVML_BRAND_QUADRO: "quadro",
    pynvml.NVML_BRAND_TESLA: "tesla",
    pynvml.NVML_BRAND_NVS: "nvs",
    pynvml.NVML_BRAND_GRID: "grid",
    pynvml.NVML_BRAND_GEFORCE: "geforce",
    pynvml.NVML_BRAND_TITAN: "titan",
    pynvml.NVML_BRAND_NVIDIA_VAPPS: "vapps",
    pynvml.NVML_BRAND_NVIDIA_VPC: "vpc",
    pynvml.NVML_BRAND_NVIDIA_VCS: "vcs",
    pynvml.NVML_BRAND_NVIDIA_VWS: "vws",
    pynvml.NVML_BRAND_NVIDIA_CLOUD_GAMING: "cloudgaming",
    pynvml.NVML_BRAND_QUADRO_RTX: "quadrortx",
    pynvml.NVML_BRAND_NVIDIA_RTX: "nvidiartx",
    pynvml.NVML_BRAND_NVIDIA: "nvidia",
    pynvml.NVML_BRAND_GEFORCE_RTX: "geforcertx",
    pynvml.NVML_BRAND_TITAN_RTX: "titanrtx",
}

_PENDING = "its MIG mode changes at the next reset of the GPU"


@dataclass(frozen=True)
class NvmlInventory:
    """The real GPUs. Without `enable_mig` no instance is offered. `proc` and `sys` are the kernel's file systems."""

    enable_mig: bool = True
    proc: Path = Path("/proc")
    sleep: Sleep = clock.sleep
    sys: Path = Path("/sys")

    def observe(self, *, utilisation: bool = False) -> GpuObservation:
        """Return the current GPUs and slots. Raises GpusUnreachable if NVML cannot be used at all.

        `utilisation` measures MIG instances too, which takes 0.1 s on GPUs that support it.

        The error's `data["problem"]` is `library_not_found` if NVIDIA's driver is not installed, with the number of
        NVIDIA cards on the bus in `data["cards"]`; else driver_not_loaded, version_mismatch, function_not_found,
        no_permission or unknown.
        """
        with self._nvml_session():
            try:
                driver = str(pynvml.nvmlSystemGetDriverVersion())
                count = int(pynvml.nvmlDeviceGetCount())
            except NVMLError as error:
                raise _unreachable(error) from error
            devices = [self._observe_gpu(index) for index in range(count)]
            slots = [slot for _, slots in devices for slot in slots]
            utilisations = gpm.measure_utilisation(pynvml, slots, self.sleep) if utilisation else {}
        boot = read_boot_id(self.proc)
        slots = [replace(slot, utilisation_percent=utilisations.get(slot.uuid), boot=boot) for slot in slots]
        return GpuObservation(tuple(gpu for gpu, _ in devices), tuple(slots), driver, boot=boot)

    def driver_info(self) -> DriverInfo:
        """Return what images may require of the driver. Raises GpusUnreachable.

        Separate from `observe`: only `create` from an image with requirements needs it.
        """
        with self._nvml_session():
            try:
                driver = str(pynvml.nvmlSystemGetDriverVersion())
                count = int(pynvml.nvmlDeviceGetCount())
            except NVMLError as error:
                raise _unreachable(error) from error
            number = _query_or_none(pynvml.nvmlSystemGetCudaDriverVersion_v2)
            cuda = f"{number // 1000}.{number % 1000 // 10}" if number else None
            return DriverInfo(driver, cuda, tuple(_gpu_facts(index) for index in range(count)))

    @contextmanager
    def _nvml_session(self) -> Iterator[None]:
        try:
            pynvml.nvmlInit()
        except NVMLError as error:
            found = _unreachable(error)
            if error.value == pynvml.NVML_ERROR_LIBRARY_NOT_FOUND:
                found.data = (found.data or {}) | {"cards": count_nvidia_cards(self.sys)}
            raise found from error
        try:
            yield
        finally:
            with suppress(NVMLError):
                pynvml.nvmlShutdown()

    def _observe_gpu(self, index: int) -> tuple[Gpu, list[Slot]]:
        """Return one GPU and its slots. A GPU that does not answer becomes one slot that is never leased."""
        gpu = Gpu(index, f"{UNKNOWN_UUID_PREFIX}{index}", "unknown", 0)
        slots: list[Slot] = []
        try:
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            gpu = replace(gpu, uuid=str(pynvml.nvmlDeviceGetUUID(handle)))
            gpu = _with_measurements(gpu, handle)
            on, on_after_reset = _mig_modes(handle)
            slots.extend(self._instance_slots(gpu, handle) if on else [self._whole_gpu_slot(gpu, handle)])
            gpu = replace(gpu, mig=(MigState.INSTANCES if slots else MigState.EMPTY) if on else MigState.OFF)
            if on != on_after_reset:
                gpu = replace(gpu, mig=MigState.PENDING, unhealthy=gpu.unhealthy or _PENDING)
        except NVMLError as error:
            gpu = replace(gpu, unhealthy=_unhealthy_reason(error))
            slots = slots or [_unresponsive_slot(gpu, str(index), gpu.uuid, SlotKind.FULL)]
        if not self.enable_mig:
            slots = [slot for slot in slots if slot.kind is SlotKind.FULL]
        return gpu, [replace(slot, unhealthy=gpu.unhealthy or slot.unhealthy) for slot in slots]

    def _whole_gpu_slot(self, gpu: Gpu, handle: Any) -> Slot:
        return Slot(
            slot=str(gpu.index),
            uuid=gpu.uuid,
            kind=SlotKind.FULL,
            gpu=gpu.index,
            gpu_uuid=gpu.uuid,
            model=gpu.model,
            memory_bytes=gpu.memory_bytes,
            memory_used_bytes=gpu.memory_used_bytes,
            **self._process_fields(handle),
        )

    def _instance_slots(self, gpu: Gpu, handle: Any) -> Iterator[Slot]:
        """Yield the MIG instances by index. Destroyed instances leave gaps: the later ones keep their numbers."""
        for instance_index in range(int(pynvml.nvmlDeviceGetMaxMigDeviceCount(handle))):
            try:
                instance = pynvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, instance_index)
                yield self._instance_slot(gpu, instance_index, instance)
            except pynvml.NVMLError_NotFound:
                continue
            except NVMLError as error:
                _raise_if_dead(error)
                name = f"{gpu.index}:{instance_index}"
                yield replace(
                    _unresponsive_slot(gpu, name, f"{UNKNOWN_UUID_PREFIX}{name}", SlotKind.MIG),
                    unhealthy=_unhealthy_reason(error),
                )

    def _instance_slot(self, gpu: Gpu, instance_index: int, handle: Any) -> Slot:
        uuid = str(pynvml.nvmlDeviceGetUUID(handle))
        memory = _query(_memory, handle)
        attributes = _query(pynvml.nvmlDeviceGetAttributes_v2, handle)
        profile = _profile(gpu, handle, attributes)
        return Slot(
            slot=f"{gpu.index}:{instance_index}",
            uuid=uuid,
            kind=SlotKind.MIG,
            gpu=gpu.index,
            gpu_uuid=gpu.uuid,
            model=gpu.model,
            memory_bytes=int(memory.total) if memory is not None else _attributed_memory(attributes),
            profile=profile,
            memory_used_bytes=int(memory.used) if memory is not None else None,
            slices=_slices(profile, attributes),
            gi=_query(pynvml.nvmlDeviceGetGpuInstanceId, handle),
            ci=_query(pynvml.nvmlDeviceGetComputeInstanceId, handle),
            **self._process_fields(handle),
        )

    def _process_fields(self, handle: Any) -> dict[str, Any]:
        """Return the compute and graphics processes on a slot, as fields of `Slot`.

        Uses the versioned functions: pynvml's unversioned ones fail with a library of another release. MIG instances
        and data centre GPUs answer that they do not support graphics, which means: no graphics processes.
        """
        try:
            compute = _running_processes(handle, "Compute")
        except (pynvml.NVMLError_NotSupported, pynvml.NVMLError_FunctionNotFound):
            return {"processes": None, "lists_processes": False}
        except NVMLError as error:
            _raise_if_dead(error)
            return {"processes": None}
        try:
            graphics = _running_processes(handle, "Graphics")
        except pynvml.NVMLError_NotSupported:
            graphics = []
        except NVMLError as error:
            _raise_if_dead(error)
            return {"processes": None}
        # NVML lists the clients of an MPS server separately, if it supports MPS.
        mps = _query(_running_processes, handle, "MPSCompute") or []
        found = {int(process.pid): process for process in [*graphics, *mps, *compute]}
        computing = {int(process.pid) for process in [*mps, *compute]}
        return {"processes": tuple(self._process(pid, found[pid], pid not in computing) for pid in sorted(found))}

    def _process(self, pid: int, nvml_process: Any, graphics_only: bool) -> GpuProcess:
        used = nvml_process.usedGpuMemory
        memory = int(used) if used is not None else None
        return GpuProcess(pid, process_name(pid, self.proc), process_container(pid, self.proc), memory, graphics_only)


def _unreachable(error: NVMLError) -> GpusUnreachable:
    problem, why, hint = _PROBLEMS.get(
        error.value, ("unknown", f"NVML reported: {error}", "nvidia-smi may say more; check dmesg for NVRM lines")
    )
    return GpusUnreachable(
        "The GPUs cannot be observed.", why=why, hint=hint, data={"problem": problem, "nvml": int(error.value)}
    )


def _with_measurements(gpu: Gpu, handle: Any) -> Gpu:
    """Return the GPU with its measurements, marked unhealthy if they say so. Unsupported ones are None."""
    memory = _query(_memory, handle)
    rates = _query(pynvml.nvmlDeviceGetUtilizationRates, handle)
    milliwatts = _query(pynvml.nvmlDeviceGetPowerUsage, handle)
    millijoules = _query(pynvml.nvmlDeviceGetTotalEnergyConsumption, handle)
    errors = _query(
        pynvml.nvmlDeviceGetTotalEccErrors,
        handle,
        pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED,
        pynvml.NVML_VOLATILE_ECC,
    )
    rows = _query(pynvml.nvmlDeviceGetRemappedRows, handle)
    unhealthy = None
    if errors:
        unhealthy = f"{errors} uncorrectable memory errors since the driver was loaded"
    if rows is not None and rows[3]:
        unhealthy = "a broken row of its memory could not be remapped"
    return replace(
        gpu,
        model=str(_query(pynvml.nvmlDeviceGetName, handle) or "unknown"),
        memory_bytes=int(memory.total) if memory is not None else 0,
        unhealthy=unhealthy,
        utilisation_percent=float(rates.gpu) if rates is not None else None,
        memory_used_bytes=int(memory.used) if memory is not None else None,
        temperature_celsius=_number(_query(pynvml.nvmlDeviceGetTemperature, handle, pynvml.NVML_TEMPERATURE_GPU)),
        power_watts=milliwatts / 1000 if milliwatts is not None else None,
        energy_joules=millijoules / 1000 if millijoules is not None else None,
        ecc_errors=errors,
        remap_failure=bool(rows[3]) if rows is not None else None,
    )


def _mig_modes(handle: Any) -> tuple[bool, bool]:
    """Return whether MIG is on now, and after a reset. False if the card or the driver does not support MIG."""
    try:
        now, pending = pynvml.nvmlDeviceGetMigMode(handle)
    except (pynvml.NVMLError_NotSupported, pynvml.NVMLError_FunctionNotFound):
        return False, False
    return now == pynvml.NVML_DEVICE_MIG_ENABLE, pending == pynvml.NVML_DEVICE_MIG_ENABLE


def _profile(gpu: Gpu, handle: Any, attributes: Any) -> str | None:
    named = profile_in_device_name(str(_query(pynvml.nvmlDeviceGetName, handle) or ""))
    if named is not None or attributes is None:
        return named
    return profile_from_attributes(
        gpu_slices=attributes.gpuInstanceSliceCount,
        compute_slices=attributes.computeInstanceSliceCount,
        memory_mib=attributes.memorySizeMB,
        gpu_memory_bytes=gpu.memory_bytes,
    )


def _slices(profile: str | None, attributes: Any) -> int:
    if attributes is not None and attributes.computeInstanceSliceCount:
        return int(attributes.computeInstanceSliceCount)
    return profile_slices(profile or "") or 1


def _attributed_memory(attributes: Any) -> int:
    return int(attributes.memorySizeMB) << 20 if attributes is not None else 0


def _unresponsive_slot(gpu: Gpu, name: str, uuid: str, kind: SlotKind) -> Slot:
    """Return a placeholder, so that a slot that does not answer is shown. Its processes are unknown."""
    return Slot(name, uuid, kind, gpu.index, gpu.uuid, gpu.model, gpu.memory_bytes, processes=None)


def _unhealthy_reason(error: NVMLError) -> str:
    return {
        pynvml.NVML_ERROR_GPU_IS_LOST: "the GPU is lost: it fell off the bus, or the driver gave up on it",
        pynvml.NVML_ERROR_RESET_REQUIRED: "the GPU needs a reset",
        pynvml.NVML_ERROR_NO_PERMISSION: "this account may not use the GPU",
    }.get(error.value, f"NVML reported: {error}")


def _query(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return the answer; None if this GPU or driver does not support the query. Raises NVMLError if the GPU is gone."""
    try:
        return function(*arguments)
    except NVMLError as error:
        _raise_if_dead(error)
        return None


def _running_processes(handle: Any, what: str) -> Any:
    """Return the running processes; older drivers only have the older function. Raises NVMLError."""
    newer = getattr(pynvml, f"nvmlDeviceGet{what}RunningProcesses_v3")
    older = getattr(pynvml, f"nvmlDeviceGet{what}RunningProcesses_v2", None)  # some releases of pynvml lack it
    try:
        return newer(handle)
    except pynvml.NVMLError_FunctionNotFound:
        if older is None:
            raise
        return older(handle)


def _memory(handle: Any) -> Any:
    """Return the memory's `total` and `used` in bytes. Raises NVMLError.

    The second version of NVML's function leaves out what the driver reserves (615 MiB on an idle H200), as nvidia-smi
    does; a driver older than 510 has only the first.
    """
    try:
        return pynvml.nvmlDeviceGetMemoryInfo(handle, version=pynvml.nvmlMemory_v2)
    except pynvml.NVMLError_FunctionNotFound:
        return pynvml.nvmlDeviceGetMemoryInfo(handle)


def _raise_if_dead(error: NVMLError) -> None:
    if error.value in (pynvml.NVML_ERROR_GPU_IS_LOST, pynvml.NVML_ERROR_RESET_REQUIRED):
        raise error


def _gpu_facts(index: int) -> GpuInfo:
    handle = _query_or_none(pynvml.nvmlDeviceGetHandleByIndex, index)
    if handle is None:
        return GpuInfo()
    brand = _query_or_none(pynvml.nvmlDeviceGetBrand, handle)
    capability = _query_or_none(pynvml.nvmlDeviceGetCudaComputeCapability, handle)
    return GpuInfo(_BRANDS.get(brand), ".".join(map(str, capability)) if capability else None)


def _query_or_none(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return the answer, or None on any NVML error."""
    with suppress(NVMLError):
        return function(*arguments)
    return None


def _number(value: Any) -> float | None:
    return float(value) if value is not None else None
