"""Check an image's requirements of the driver (`NVIDIA_REQUIRE_CUDA` and the like) as NVIDIA's toolkit does. Pure.

`cuda>=12.4 brand=tesla,driver>=535,driver<536`: spaces separate alternatives, of which one must hold; commas separate
the conditions of an alternative, which must all hold. Every variable must hold.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ds01.dataclass import dataclass

_PREFIX = "NVIDIA_REQUIRE_"
_BOARD_VARIABLES = frozenset(
    {"NVIDIA_REQUIRE_JETPACK", "NVIDIA_REQUIRE_JETPACK_HOST_MOUNTS"}
)  # for boards, not for servers
_CONDITION = re.compile(r"([a-z_]+)\s*(>=|<=|!=|==|=|<|>)\s*(.+)", re.ASCII)
Version = tuple[int, ...]


@dataclass(frozen=True)
class GpuInfo:
    """The properties of a GPU that a condition can test; None: unknown."""

    brand: str | None = None  # `tesla`, `geforcertx`, …
    arch: str | None = None  # the compute capability, `8.0`


@dataclass(frozen=True)
class DriverInfo:
    """The properties of the driver that a condition can test, and its GPUs by index; None: unknown."""

    driver: str | None = None  # `550.54.15`
    cuda: str | None = None  # the newest CUDA version it supports, `12.4`
    gpus: tuple[GpuInfo, ...] = ()

    def gpu_info(self, index: int) -> GpuInfo:
        """Return the properties of one GPU; all unknown if the index does not exist."""
        return self.gpus[index] if index < len(self.gpus) else GpuInfo()


UNKNOWN_DRIVER = DriverInfo()


@dataclass(frozen=True)
class Requirement:
    """One requirement variable of an image."""

    variable: str
    text: str

    @property
    def oldest_cuda(self) -> str | None:
        """Return the oldest CUDA version that an alternative without other conditions accepts, or None."""
        bounds = [re.fullmatch(r"cuda\s*>=\s*([0-9.]+)", word) for word in self.text.casefold().split()]
        return min((bound[1] for bound in bounds if bound is not None), key=_version, default=None)


def image_requirements(environment: Mapping[str, str]) -> tuple[Requirement, ...]:
    """Return the requirements in an image's environment; empty if it disables them.

    Images older than these variables have only `CUDA_VERSION`, which the toolkit takes as their requirement.
    """
    if environment.get("NVIDIA_DISABLE_REQUIRE", "").casefold() in ("1", "t", "true"):
        return ()
    found = [
        Requirement(name, text)
        for name, text in sorted(environment.items())
        if name.startswith(_PREFIX) and name not in _BOARD_VARIABLES and text.strip()
    ]
    legacy = re.match(r"\d+\.\d+", environment.get("CUDA_VERSION", ""), re.ASCII)
    if legacy is not None and not environment.get("NVIDIA_REQUIRE_CUDA", "").strip():
        found.append(Requirement("CUDA_VERSION", f"cuda>={legacy[0]}"))
    return tuple(found)


def is_unmet(requirement: Requirement, driver: DriverInfo, gpu: GpuInfo) -> bool:
    """Return whether a requirement is certainly not met. Unknown or unparsable conditions may be met."""
    facts = {"driver": driver.driver, "cuda": driver.cuda, "brand": gpu.brand, "arch": gpu.arch}
    alternatives = requirement.text.casefold().split()
    return bool(alternatives) and all(
        any(_condition_fails(condition, facts) for condition in alternative.split(",")) for alternative in alternatives
    )


def _condition_fails(condition: str, facts: Mapping[str, str | None]) -> bool:
    match = _CONDITION.fullmatch(condition.strip())
    value = facts.get(match[1]) if match is not None else None
    if match is None or value is None:
        return False
    name, comparison, operand = match.groups()
    if name == "brand":
        same = _normalise(value) == _normalise(operand)
        return {"=": not same, "==": not same, "!=": same}.get(comparison, False)
    actual, required = _version(value), _version(operand)
    if not actual or not required:
        return False
    length = max(len(actual), len(required))
    return not _compare(_padded(actual, length), comparison, _padded(required, length))


def _compare(actual: Version, comparison: str, required: Version) -> bool:
    return {
        ">=": actual >= required,
        "<=": actual <= required,
        ">": actual > required,
        "<": actual < required,
        "!=": actual != required,
    }.get(comparison, actual == required)


def _version(text: str) -> Version:
    return tuple(int(part) for part in text.strip().split(".")) if re.fullmatch(r"\d+(\.\d+)*", text.strip()) else ()


def _padded(version: Version, length: int) -> Version:
    return version + (0,) * (length - len(version))


def _normalise(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.casefold())
