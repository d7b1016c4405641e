"""Simulated GPUs, described by a line such as `1xA100,1xA100:3x2g.10gb`, for demos, tests and planning."""

from __future__ import annotations

import re

from ds01.dataclass import dataclass
from ds01.errors import UsageError
from ds01.gpus.model import Gpu, GpuObservation, MigState, Slot, SlotKind
from ds01.gpus.requirements import UNKNOWN_DRIVER, DriverInfo

DRIVER = "simulated"
_EXPECTED_FORM = "COUNTxMODEL, or COUNTxMODEL:COUNTxPROFILE+COUNTxPROFILE for MIG, joined by commas; or none"
_COUNTED = re.compile(r"([0-9]{1,3})x(.+)", re.ASCII)
# NVIDIA's drivers support no more GPUs than this in one server.
_MOST_GPUS = 32


@dataclass(frozen=True)
class _Model:
    """A GPU model: memory in GiB, and its MIG profiles: name -> (compute slices, memory slices)."""

    memory: int
    profiles: dict[str, tuple[int, int]]
    compute_slices: int = 7
    memory_slices: int = 8


@dataclass(frozen=True)
class SimulatedInventory:
    """An inventory that never changes; tests replace `observation` to change it."""

    observation: GpuObservation
    driver: DriverInfo = UNKNOWN_DRIVER  # unknown unless a test sets it

    def observe(self, *, utilisation: bool = False) -> GpuObservation:
        """Return the simulated GPUs. Never raises."""
        return self.observation

    def driver_info(self) -> DriverInfo:
        """Return the simulated driver."""
        return self.driver


def parse_inventory(text: str) -> SimulatedInventory:
    """Parse a description of GPUs; `none` is a server without GPUs. Raises UsageError."""
    text = text.strip().removeprefix("simulated:")
    gpus: list[Gpu] = []
    slots: list[Slot] = []
    for part in [] if text == "none" else text.split(","):
        count, model, profiles = _parse_group(part.strip())
        if len(gpus) + count > _MOST_GPUS:
            raise _invalid(text, f"a server has at most {_MOST_GPUS} GPUs")
        for index in range(len(gpus), len(gpus) + count):
            gpu, offered = _gpu(index, model, profiles)
            gpus.append(gpu)
            slots.extend(offered)
    return SimulatedInventory(GpuObservation(tuple(gpus), tuple(slots), DRIVER, simulated=True))


def _parse_group(part: str) -> tuple[int, str, list[str] | None]:
    """Parse one part: the number of GPUs, their model, and the instances on each (None without MIG)."""
    count_and_model, colon, instance_list = part.partition(":")
    count, name = _parse_counted(count_and_model, part)
    model = _NAMES.get(name.casefold())
    if model is None:
        raise _invalid(part, f"unknown model {name!r}; known models: {', '.join(_MODELS)}")
    if not colon:
        return count, model, None

    by_folded_name = {profile.casefold(): profile for profile in _MODELS[model].profiles}
    profiles: list[str] = []
    for piece in re.split(r"\+(?=\s*\d+x)", instance_list):  # a profile name can contain a plus: 1g.10gb+me
        instances, profile_name = _parse_counted(piece, part)
        profile = by_folded_name.get(profile_name.casefold())
        if profile is None:
            offered = f"it has {', '.join(by_folded_name.values())}" if by_folded_name else "it has no MIG"
            raise _invalid(part, f"{model} has no profile {profile_name!r}; {offered}")
        profiles += [profile] * instances
    _check_capacity(part, model, profiles)
    return count, model, profiles


def _parse_counted(text: str, part: str) -> tuple[int, str]:
    match = _COUNTED.fullmatch(text.strip())
    if match is None or int(match[1]) == 0:
        raise _invalid(part, f"{text.strip()!r} is not COUNTxWHAT with a count of at least 1")
    return int(match[1]), match[2].strip()


def _check_capacity(part: str, name: str, profiles: list[str]) -> None:
    """Check that the GPU has enough slices for the instances; their positions are not simulated. Raises UsageError."""
    model = _MODELS[name]
    compute = sum(model.profiles[profile][0] for profile in profiles)
    memory = sum(model.profiles[profile][1] for profile in profiles)
    if compute > model.compute_slices:
        raise _invalid(part, f"the instances need {compute} compute slices, {name} has {model.compute_slices}")
    if memory > model.memory_slices:
        raise _invalid(part, f"the instances need {memory} memory slices, {name} has {model.memory_slices}")


def _gpu(index: int, name: str, profiles: list[str] | None) -> tuple[Gpu, list[Slot]]:
    """Return the GPU with this index and its slots: its instances, or the whole GPU without MIG."""
    model = _MODELS[name]
    uuid = f"GPU-00000000-0000-4000-8000-{index:012x}"
    memory = model.memory << 30
    mig = MigState.OFF if profiles is None else MigState.INSTANCES
    gpu = Gpu(index, uuid, name, memory, mig, utilisation_percent=0.0, memory_used_bytes=0)
    if profiles is None:
        return gpu, [Slot(str(index), uuid, SlotKind.FULL, index, uuid, name, memory, memory_used_bytes=0)]
    return gpu, [
        Slot(
            slot=f"{index}:{instance_index}",
            uuid=f"MIG-00000000-0000-4000-8000-{index:06x}{instance_index:06x}",
            kind=SlotKind.MIG,
            gpu=index,
            gpu_uuid=uuid,
            model=name,
            memory_bytes=memory * model.profiles[profile][1] // model.memory_slices,
            profile=profile,
            memory_used_bytes=0,
            slices=model.profiles[profile][0],
            gi=instance_index + 1,
            ci=0,
        )
        for instance_index, profile in enumerate(profiles)
    ]


def _invalid(text: str, why: str) -> UsageError:
    return UsageError(f"not a description of simulated GPUs: {text!r}", why=why, hint=f"write {_EXPECTED_FORM}")


def _seven_slice_profiles(one_slice: int, two: int, four: int, eight: int) -> dict[str, tuple[int, int]]:
    """Return the profiles of a GPU with 7 compute slices, from the GB in the names for 1, 2, 4 and 8 memory slices."""
    return {
        f"1g.{one_slice}gb": (1, 1),
        f"1g.{one_slice}gb+me": (1, 1),
        f"1g.{two}gb": (1, 2),
        f"2g.{two}gb": (2, 2),
        f"3g.{four}gb": (3, 4),
        f"4g.{four}gb": (4, 4),
        f"7g.{eight}gb": (7, 8),
    }


# Memory and profiles from NVIDIA's MIG user guide.
_A30 = _Model(
    24, {"1g.6gb": (1, 1), "1g.6gb+me": (1, 1), "2g.12gb": (2, 2), "4g.24gb": (4, 4)}, compute_slices=4, memory_slices=4
)
_MODELS = {
    "A100": _Model(40, _seven_slice_profiles(5, 10, 20, 40)),
    "A100-40GB": _Model(40, _seven_slice_profiles(5, 10, 20, 40)),
    "A100-80GB": _Model(80, _seven_slice_profiles(10, 20, 40, 80)),
    "A30": _A30,
    "H100": _Model(80, _seven_slice_profiles(10, 20, 40, 80)),
    "H100-94GB": _Model(94, _seven_slice_profiles(12, 24, 47, 94)),
    "H200": _Model(141, _seven_slice_profiles(18, 35, 71, 141)),
    "B200": _Model(180, _seven_slice_profiles(23, 45, 90, 180)),
    **{
        name: _Model(memory, {})
        for name, memory in {
            "V100": 32, "V100-16GB": 16, "P100": 16, "T4": 16, "A10": 24, "A40": 48, "L4": 24, "L40": 48, "L40S": 48,
            "A4000": 16, "A5000": 24, "A6000": 48, "RTX6000": 48, "RTX2080TI": 11, "RTX3090": 24, "RTX4090": 24,
            "RTX5090": 32, "TITANRTX": 24,
        }.items()
    },
}  # fmt: skip
_NAMES = {name.casefold(): name for name in _MODELS}
