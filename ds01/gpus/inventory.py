"""Where slots come from: NVML, or the simulation. Nothing below this seam is known above it."""

from __future__ import annotations

from typing import Protocol

from ds01.gpus.model import GpuObservation
from ds01.gpus.requirements import DriverInfo

LIBRARY_NOT_FOUND = "library_not_found"  # `data["problem"]` of a GpusUnreachable: NVIDIA's driver is not installed


class GpuInventory(Protocol):
    """Whatever knows the GPUs of this server."""

    def observe(self, *, utilisation: bool = False) -> GpuObservation:
        """The GPUs and slots as they are now. Raises GpusUnreachable: then nothing was observed.

        `utilisation`: how busy MIG instances are is wanted too, and may take its time.
        """

    def driver_info(self) -> DriverInfo:
        """Return what images may require of the driver. Raises GpusUnreachable."""
