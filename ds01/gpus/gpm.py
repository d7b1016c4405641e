"""Measure the utilisation of MIG instances with NVML's GPM (Hopper and later), which compares two samples.

Where GPM is not available (older GPU or library, no permission, instance destroyed), utilisation is unknown.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

from ds01.dataclass import dataclass
from ds01.gpus.model import Slot, SlotKind
from ds01.system.clock import Sleep

SAMPLE_INTERVAL = 0.1  # seconds between the samples: the minimum in NVML's reference for nvmlGpmMetricsGet


@dataclass(frozen=True)
class _FirstSample:
    """An instance, its GPU's handle, and its first sample."""

    slot: Slot
    handle: Any
    gi: int
    sample: Any


def measure_utilisation(nvml: Any, slots: Iterable[Slot], sleep: Sleep) -> dict[str, float]:
    """Return the utilisation of MIG instances in percent, by UUID; unknown ones are left out. Never raises.

    `nvml` is the module pynvml, initialised. All instances share one wait of `SAMPLE_INTERVAL` seconds; if none can
    be sampled, nothing waits.
    """
    with ExitStack() as samples:
        first_samples = list(_take_first_samples(nvml, _exclusive_instances(slots), samples))
        if first_samples:
            sleep(SAMPLE_INTERVAL)
        values = {
            first_sample.slot.uuid: _utilisation_since(nvml, first_sample, samples) for first_sample in first_samples
        }
    return {uuid: value for uuid, value in values.items() if value is not None}


def _exclusive_instances(slots: Iterable[Slot]) -> list[Slot]:
    """Return the instances that share their GPU instance with no other: GPM measures whole GPU instances only."""
    instances = [slot for slot in slots if slot.kind is SlotKind.MIG and slot.gi is not None]
    instance_counts = Counter((slot.gpu, slot.gi) for slot in instances)
    return [slot for slot in instances if instance_counts[slot.gpu, slot.gi] == 1]


def _take_first_samples(nvml: Any, slots: Iterable[Slot], samples: ExitStack) -> Iterator[_FirstSample]:
    """Take the first samples through each GPU's handle; each GPU is asked once whether it supports GPM."""
    handles: dict[int, Any] = {}
    for slot in slots:
        if slot.gpu not in handles:
            handles[slot.gpu] = _supported_handle(nvml, slot.gpu)
        handle = handles[slot.gpu]
        if handle is not None and slot.gi is not None:
            with suppress(nvml.NVMLError):
                yield _FirstSample(slot, handle, slot.gi, _take_sample(nvml, handle, slot.gi, samples))


def _utilisation_since(nvml: Any, first_samples: _FirstSample, samples: ExitStack) -> float | None:
    """Return the larger of GPM's two metrics: a kernel on few multiprocessors counts as work too. None: unknown."""
    metrics = (nvml.NVML_GPM_METRIC_GRAPHICS_UTIL, nvml.NVML_GPM_METRIC_SM_UTIL)
    try:
        request = nvml.c_nvmlGpmMetricsGet_t()
        request.version = nvml.NVML_GPM_METRICS_GET_VERSION
        request.sample1 = first_samples.sample
        request.sample2 = _take_sample(nvml, first_samples.handle, first_samples.gi, samples)
        request.numMetrics = len(metrics)
        for index, metric in enumerate(metrics):
            request.metrics[index].metricId = metric
        nvml.nvmlGpmMetricsGet(request)
    except nvml.NVMLError:
        return None
    results = [request.metrics[index] for index in range(len(metrics))]
    values = [float(result.value) for result in results if result.nvmlReturn == nvml.NVML_SUCCESS]
    return max((value for value in values if math.isfinite(value)), default=None)


def _supported_handle(nvml: Any, gpu: int) -> Any:
    """Return the GPU's handle; None if it does not support GPM."""
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(gpu)
        return handle if nvml.nvmlGpmQueryDeviceSupport(handle).isSupportedDevice else None
    except nvml.NVMLError:
        return None


def _take_sample(nvml: Any, handle: Any, gi: int, samples: ExitStack) -> Any:
    """Take a sample of a GPU instance; `samples` frees it on exit. Raises NVMLError."""
    sample = nvml.nvmlGpmSampleAlloc()
    samples.callback(_free_sample, nvml, sample)
    nvml.nvmlGpmMigSampleGet(handle, gi, sample)
    return sample


def _free_sample(nvml: Any, sample: Any) -> None:
    with suppress(nvml.NVMLError):
        nvml.nvmlGpmSampleFree(sample)
