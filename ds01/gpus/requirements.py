"""What an image needs of the driver: `NVIDIA_REQUIRE_CUDA` and its like, as NVIDIA's toolkit reads them. Pure.

`cuda>=12.4 brand=tesla,driver>=535,driver<536`: one of the alternatives, which blanks divide, has to hold; in it all
conditions, which commas divide. Several variables have to hold together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_PREFIX = "NVIDIA_REQUIRE_"
_OTHERS = frozenset({"NVIDIA_REQUIRE_JETPACK", "NVIDIA_REQUIRE_JETPACK_HOST_MOUNTS"})  # for boards, not for servers
_CONDITION = re.compile(r"([a-z_]+)\s*(>=|<=|!=|==|=|<|>)\s*(.+)", re.ASCII)
Version = tuple[int, ...]


@dataclass(frozen=True)
class GpuFacts:
    """What a condition can ask of one GPU; None: unknown."""

    brand: str | None = None  # as `tesla`, `geforcertx`
    arch: str | None = None  # the compute capability, as `8.0`


@dataclass(frozen=True)
class DriverFacts:
    """What a condition can ask of the driver, and of its GPUs in order of their index; None: unknown."""

    driver: str | None = None  # as `550.54.15`
    cuda: str | None = None  # the newest CUDA it supports, as `12.4`
    gpus: tuple[GpuFacts, ...] = ()

    def of_gpu(self, index: int) -> GpuFacts:
        """Return what is known of one GPU."""
        return self.gpus[index] if index < len(self.gpus) else GpuFacts()


NOTHING_KNOWN = DriverFacts()


@dataclass(frozen=True)
class Requirement:
    """One variable of an image."""

    variable: str
    text: str

    @property
    def oldest_cuda(self) -> str | None:
        """The oldest CUDA that an alternative without other conditions accepts; None if none says so."""
        bounds = [re.fullmatch(r"cuda\s*>=\s*([0-9.]+)", word) for word in self.text.casefold().split()]
        return min((bound[1] for bound in bounds if bound is not None), key=_version, default=None)


def requirements_of(environment: Mapping[str, str]) -> tuple[Requirement, ...]:
    """Return what an image's environment requires; nothing if it switches that off.

    Images older than the variable have only `CUDA_VERSION`, which the toolkit takes for their requirement.
    """
    if environment.get("NVIDIA_DISABLE_REQUIRE", "").casefold() in ("1", "t", "true"):
        return ()
    found = [
        Requirement(name, text)
        for name, text in sorted(environment.items())
        if name.startswith(_PREFIX) and name not in _OTHERS and text.strip()
    ]
    legacy = re.match(r"\d+\.\d+", environment.get("CUDA_VERSION", ""), re.ASCII)
    if legacy is not None and not environment.get("NVIDIA_REQUIRE_CUDA", "").strip():
        found.append(Requirement("CUDA_VERSION", f"cuda>={legacy[0]}"))
    return tuple(found)


def unmet(requirement: Requirement, driver: DriverFacts, gpu: GpuFacts) -> bool:
    """Return whether a requirement is certainly not met; what is unknown, or not understood, may be met."""
    known = {"driver": driver.driver, "cuda": driver.cuda, "brand": gpu.brand, "arch": gpu.arch}
    alternatives = requirement.text.casefold().split()
    return bool(alternatives) and all(
        any(_fails(condition, known) for condition in alternative.split(",")) for alternative in alternatives
    )


def _fails(condition: str, known: Mapping[str, str | None]) -> bool:
    match = _CONDITION.fullmatch(condition.strip())
    value = known.get(match[1]) if match is not None else None
    if match is None or value is None:
        return False
    name, comparison, wanted = match.groups()
    if name == "brand":
        same = _word(value) == _word(wanted)
        return {"=": not same, "==": not same, "!=": same}.get(comparison, False)
    have, want = _version(value), _version(wanted)
    if not have or not want:
        return False
    length = max(len(have), len(want))
    return not _holds(_padded(have, length), comparison, _padded(want, length))


def _holds(have: Version, comparison: str, want: Version) -> bool:
    return {
        ">=": have >= want, "<=": have <= want, ">": have > want, "<": have < want, "!=": have != want,
    }.get(comparison, have == want)  # fmt: skip


def _version(text: str) -> Version:
    return tuple(int(part) for part in text.strip().split(".")) if re.fullmatch(r"\d+(\.\d+)*", text.strip()) else ()


def _padded(version: Version, length: int) -> Version:
    return version + (0,) * (length - len(version))


def _word(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.casefold())
