"""Parse and build the names of MIG profiles, such as `2g.10gb` and `1c.3g.20gb`."""

from __future__ import annotations

import math
import re

_IN_DEVICE_NAME = re.compile(r"\bMIG\s+(\S+)$")
_SLICES = re.compile(r"(?:(\d+)c\.)?(\d+)g\.", re.ASCII)
_MIB = 1 << 20
_GIB = 1 << 30


def profile_in_device_name(device_name: str) -> str | None:
    """Return the MIG profile that ends a device name: `2g.10gb` for `NVIDIA A100-SXM4-40GB MIG 2g.10gb`."""
    match = _IN_DEVICE_NAME.search(device_name)
    return match[1] if match else None


def profile_from_attributes(
    *, gpu_slices: int, compute_slices: int, memory_mib: int, gpu_memory_bytes: int
) -> str | None:
    """Return the profile name for an instance's attributes, as NVIDIA's go-nvlib does: memory in eighths of the GPU.

    None if the GPU's memory is unknown. Halves are rounded up: half of an H200's 141 GB is called 71 GB.
    """
    if gpu_memory_bytes <= 0:
        return None
    eighths = round(memory_mib * _MIB / gpu_memory_bytes * 8)
    gigabytes = math.floor(eighths / 8 * -(-gpu_memory_bytes // _GIB) + 0.5)
    part = f"{compute_slices}c." if compute_slices != gpu_slices else ""
    return f"{part}{gpu_slices}g.{gigabytes}gb"


def profile_slices(profile: str) -> int | None:
    """Return the number of compute slices in a profile's name."""
    match = _SLICES.match(profile)
    return int(match[1] or match[2]) if match else None
