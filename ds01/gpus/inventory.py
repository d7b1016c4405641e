"""The interface through which ds01 observes GPUs, implemented by NVML and by the simulation."""

from __future__ import annotations

from typing import Protocol

from ds01.gpus.model import GpuObservation
from ds01.gpus.requirements import DriverInfo

LIBRARY_NOT_FOUND = "library_not_found"  # `data["problem"]` of a GpusUnreachable: NVIDIA's driver is not installed


class GpuInventory(Protocol):
    """A source of GPU observations."""

    def observe(self, *, utilisation: bool = False) -> GpuObservation:
        """Return the current GPUs and slots. Raises GpusUnreachable if nothing could be observed.

        `utilisation` also measures how busy MIG instances are, which may take a moment.
        """

    def driver_info(self) -> DriverInfo:
        """Return what images may require of the driver. Raises GpusUnreachable."""
