"""Where slots come from: NVML, or the simulation. Nothing below this seam is known above it."""

from __future__ import annotations

from typing import Protocol

from ds01.gpus.model import Observation
from ds01.gpus.requirements import DriverFacts

LIBRARY_NOT_FOUND = "library_not_found"  # `data["problem"]` of a GpusUnreachable: NVIDIA's driver is not installed


class Inventory(Protocol):
    """Whatever knows the GPUs of this server."""

    def observe(self, *, utilisation: bool = False) -> Observation:
        """The GPUs and slots as they are now. Raises GpusUnreachable: then nothing was observed.

        `utilisation`: how busy MIG instances are is wanted too, and may take its time.
        """

    def driver_facts(self) -> DriverFacts:
        """Return what images may require of the driver. Raises GpusUnreachable."""
