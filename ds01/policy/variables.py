"""Names of environment variables: their form, and those that nobody but ds01 sets in a container."""

from __future__ import annotations

import re

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
NAME_FORM = "letters, digits, _, - and ., beginning with a letter or _"
# ds01 sets these: they decide the home, the programs that are found, and which GPUs a container sees.
SET_BY_DS01 = ("HOME", "USER", "LOGNAME", "PATH", "ENV", "HF_HOME", "TORCH_HOME", "CUDA_DEVICE_ORDER")
PREFIX = "NVIDIA_"


def is_reserved(name: str) -> bool:
    """Return whether only ds01 sets the variable."""
    return name in SET_BY_DS01 or name.startswith(PREFIX)
