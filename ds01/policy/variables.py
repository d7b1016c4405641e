"""Names of environment variables: their form, and those that only ds01 sets in a container."""

from __future__ import annotations

import re

NAME_PATTERN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
NAME_FORM = "letters, digits, '_', '-' and '.', beginning with a letter or '_'"
# ds01 sets these: they decide the home, the search path, and which GPUs a container sees.
RESERVED_NAMES = ("HOME", "USER", "LOGNAME", "PATH", "ENV", "HF_HOME", "TORCH_HOME", "CUDA_DEVICE_ORDER")
RESERVED_PREFIX = "NVIDIA_"


def is_reserved(name: str) -> bool:
    """Return whether only ds01 may set the variable."""
    return name in RESERVED_NAMES or name.startswith(RESERVED_PREFIX)
