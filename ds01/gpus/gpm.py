"""How busy MIG instances are, by NVML's GPM, which Hopper and later have: what happened between two samples.

Where it says nothing (an older GPU or library, no permission, an instance that went) nothing is known.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

from ds01.gpus.model import Kind, Slot
from ds01.system.clock import Sleep

APART = 0.1  # seconds between the samples, the least that NVML's reference of nvmlGpmMetricsGet allows


@dataclass(frozen=True)
class _Begun:
    """An instance, its GPU's handle, and the first sample."""

    slot: Slot
    handle: Any
    gi: int
    sample: Any


def measured(nvml: Any, slots: Iterable[Slot], sleep: Sleep) -> dict[str, float]:
    """The utilisation of MIG instances in percent, by their UUIDs, of those where it can be known. Never raises.

    `nvml` is the module pynvml, after its Init. All instances share one wait of `APART` seconds, if one can be sampled.
    """
    with ExitStack() as samples:
        begun = list(_begin(nvml, _alone(slots), samples))
        if begun:
            sleep(APART)
        values = {one.slot.uuid: _end(nvml, one, samples) for one in begun}
    return {uuid: value for uuid, value in values.items() if value is not None}


def _alone(slots: Iterable[Slot]) -> list[Slot]:
    """The instances with a GPU instance of their own: GPM cannot tell apart who computes in one that is shared."""
    instances = [slot for slot in slots if slot.kind is Kind.MIG and slot.gi is not None]
    on = Counter((slot.gpu, slot.gi) for slot in instances)
    return [slot for slot in instances if on[slot.gpu, slot.gi] == 1]


def _begin(nvml: Any, slots: Iterable[Slot], samples: ExitStack) -> Iterator[_Begun]:
    """Take the first samples. They are sampled at the GPU, which is asked once whether it can."""
    handles: dict[int, Any] = {}
    for slot in slots:
        if slot.gpu not in handles:
            handles[slot.gpu] = _able(nvml, slot.gpu)
        handle = handles[slot.gpu]
        if handle is not None and slot.gi is not None:
            with suppress(nvml.NVMLError):
                yield _Begun(slot, handle, slot.gi, _sample(nvml, handle, slot.gi, samples))


def _end(nvml: Any, begun: _Begun, samples: ExitStack) -> float | None:
    """The larger of what GPM says since the first sample: a kernel on few multiprocessors computes as well."""
    asked = (nvml.NVML_GPM_METRIC_GRAPHICS_UTIL, nvml.NVML_GPM_METRIC_SM_UTIL)
    try:
        question = nvml.c_nvmlGpmMetricsGet_t()
        question.version = nvml.NVML_GPM_METRICS_GET_VERSION
        question.sample1 = begun.sample
        question.sample2 = _sample(nvml, begun.handle, begun.gi, samples)
        question.numMetrics = len(asked)
        for place, metric in enumerate(asked):
            question.metrics[place].metricId = metric
        nvml.nvmlGpmMetricsGet(question)
    except nvml.NVMLError:
        return None
    answers = [question.metrics[place] for place in range(len(asked))]
    values = [float(answer.value) for answer in answers if answer.nvmlReturn == nvml.NVML_SUCCESS]
    return max((value for value in values if math.isfinite(value)), default=None)


def _able(nvml: Any, gpu: int) -> Any:
    """The handle of a GPU that GPM can sample, or None."""
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(gpu)
        return handle if nvml.nvmlGpmQueryDeviceSupport(handle).isSupportedDevice else None
    except nvml.NVMLError:
        return None


def _sample(nvml: Any, handle: Any, gi: int, samples: ExitStack) -> Any:
    """A sample of a GPU instance, which `samples` frees. Raises NVMLError."""
    sample = nvml.nvmlGpmSampleAlloc()
    samples.callback(_free, nvml, sample)
    nvml.nvmlGpmMigSampleGet(handle, gi, sample)
    return sample


def _free(nvml: Any, sample: Any) -> None:
    with suppress(nvml.NVMLError):
        nvml.nvmlGpmSampleFree(sample)
