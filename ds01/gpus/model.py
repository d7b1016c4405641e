"""Slots, leases and requests as data. A slot is a whole GPU (`0`) or one MIG instance (`0:1`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any


def slot_sort_key(slot: str) -> tuple[int, ...]:
    """What slots are sorted by: `10` after `2`, `0:10` after `0:2`. What is no slot's name comes last."""
    parts = slot.split(":")
    return tuple(int(part) for part in parts) if all(part.isdecimal() for part in parts) else (1 << 31,)


class SlotKind(str, Enum):
    """What a slot is made of."""

    FULL = "full"
    MIG = "mig"


class MigState(str, Enum):
    """The MIG state of a GPU. Only `off` offers the whole GPU; only `instances` offers anything on MIG."""

    OFF = "off"
    EMPTY = "empty"  # on, without an instance: nothing to offer
    INSTANCES = "instances"
    PENDING = "pending"  # a change waits for a reset: nothing to offer


class GpuType(str, Enum):
    """What kind of slot a request wants."""

    ANY = "any"
    MIG = "mig"
    FULL = "full"


@dataclass(frozen=True)
class SlotRef:
    """A slot as a lease remembers it, also when the hardware no longer has it.

    MIG instances that are made anew can have the UUIDs of their predecessors; GPU, place and boot tell them apart.
    """

    slot: str  # its name, or the UUID while the hardware does not have it (naming.py)
    uuid: str
    kind: SlotKind
    profile: str | None = None  # of MIG instances, as `2g.10gb`
    was: str | None = None  # the name at the time of the lease, where that is another
    gpu_uuid: str | None = None
    gi: int | None = None
    ci: int | None = None
    boot: str | None = None  # the id of the kernel's boot at the time of the lease


@dataclass(frozen=True)
class GpuProcess:
    """A process that NVML shows. `container` is the Docker id in its cgroup, if one stands there."""

    pid: int
    name: str | None = None
    container: str | None = None
    memory_bytes: int | None = None
    graphics_only: bool = False  # it draws, and computes nothing


@dataclass(frozen=True)
class Slot:
    """One slot as the hardware has it now. `gpu` is NVML's index; sizes in bytes."""

    slot: str
    uuid: str
    kind: SlotKind
    gpu: int
    gpu_uuid: str
    model: str
    memory_bytes: int
    profile: str | None = None
    memory_used_bytes: int | None = None  # None: unknown
    slices: int = 7  # compute slices, to order profiles by size; a whole GPU has 7 and more
    gi: int | None = None
    ci: int | None = None
    unhealthy: str | None = None  # why it must not be given out
    processes: tuple[GpuProcess, ...] | None = ()  # None: NVML would not say, which counts as use
    lists_processes: bool = True  # False: the driver has no such list for this GPU at all, as in a vGPU guest
    utilisation_percent: float | None = None  # of a MIG instance; None: unknown, or nobody asked
    boot: str | None = None  # the id of the kernel's boot, where it is known

    @property
    def ref(self) -> SlotRef:
        """What a lease keeps of it."""
        return SlotRef(
            self.slot, self.uuid, self.kind, self.profile,
            gpu_uuid=self.gpu_uuid, gi=self.gi, ci=self.ci, boot=self.boot,
        )  # fmt: skip


@dataclass(frozen=True)
class Gpu:
    """One physical GPU; utilisation in percent, power in watts, temperature in °C, energy in joules, None unknown."""

    index: int
    uuid: str
    model: str
    memory_bytes: int
    mig: MigState = MigState.OFF
    unhealthy: str | None = None
    utilisation_percent: float | None = None
    memory_used_bytes: int | None = None
    temperature_celsius: float | None = None
    power_watts: float | None = None
    energy_joules: float | None = None
    ecc_errors: int | None = None  # uncorrectable, volatile
    remap_failure: bool | None = None


@dataclass(frozen=True)
class GpuObservation:
    """What the GPUs are at one moment. `driver` is the driver's version, or `simulated`."""

    gpus: tuple[Gpu, ...]
    slots: tuple[Slot, ...]
    driver: str
    simulated: bool = False
    boot: str | None = None  # the id of the kernel's boot, where it is known

    def utilisation_of(self, slot: Slot) -> float | None:
        """How busy a slot is in percent; None: unknown. A GPU's own counter says nothing about its MIG instances,
        which may have one of theirs.
        """
        if slot.kind is not SlotKind.FULL:
            return slot.utilisation_percent
        return next((gpu.utilisation_percent for gpu in self.gpus if gpu.index == slot.gpu), None)


@dataclass(frozen=True)
class Lease:
    """The slots that one container has, and since when. `source`: `local`, or `manual` for `ds01 gpu allocate`."""

    slots: tuple[SlotRef, ...]
    since: datetime
    source: str = "local"


@dataclass(frozen=True)
class ActiveLease:
    """A lease as the allocator sees it: who holds which slots until when (None: open)."""

    container: str
    user: str
    uid: int
    slots: tuple[str, ...]
    uuids: tuple[str, ...]
    priority: int
    since: datetime
    until: datetime | None = None
    held: bool = False  # of a stopped container
    manual: bool = False  # without a container: its owner, or an administrator, ends it with `ds01 gpu release`
    waiting: bool = False  # no lease yet: what somebody ahead in the line could have now
    original_names: tuple[str, ...] = ()  # of its slots, at the time of the lease; none: as `slots`
    unobserved: tuple[str, ...] = ()  # UUIDs of those that were not seen, since their GPU does not answer


@dataclass(frozen=True)
class GpuRequest:
    """What GPUs a container asks for. `count` None: nothing was said, so one slot, or none where there is none."""

    count: int | None = None
    type: GpuType = GpuType.ANY
    profile: str | None = None
    uuids: tuple[str, ...] | None = None  # exactly these slots, as a restart needs them


@dataclass(frozen=True)
class Blocker:
    """Why a slot that no lease has is not free: `use` (outside), or `unknown`."""

    what: str  # container, process, unknown
    who: str  # a container's or a process's name
    key: str | None = None  # the policy's key that would ignore it
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Claim:
    """A slot that is not free, for a refusal: who has it and until when."""

    slot: str
    state: str  # leased, held, waiting, reserved, busy_outside, unhealthy; or lost, `slot` then the UUID
    container: str | None = None
    user: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    why: str | None = None
    manual: bool = False  # the lease was allocated by hand, without a container


class Rule(str, Enum):
    """Which rule refused."""

    NO_GPUS = "no_gpus"  # the server offers no slot of that kind at all, or not so many
    PER_CONTAINER = "max_gpus_per_container"
    FULL_GPU = "allow_full_gpu"
    QUOTA = "max_mig_instances"
    CONTAINERS = "max_containers_per_user"
    NONE_FREE = "none_free"
    LOST = "lost"  # exactly these slots were asked for, and the hardware no longer has them


@dataclass(frozen=True)
class Refusal:
    """No, as data: the rule, its limit, the use now, what was asked, who holds what until when.

    `temporary` is true if waiting can help (exit code 4), false if only policy or another request can (3).
    """

    rule: Rule
    temporary: bool
    asked: int
    limit: int | None = None
    used: int | None = None
    claims: tuple[Claim, ...] = ()
    earliest: datetime | None = None  # when the first slot that fits comes free, as far as is known
    free: tuple[SlotRef, ...] = ()  # free now and open to this user, though too few of one kind or of another kind


@dataclass(frozen=True)
class Choice:
    """The slots that were chosen; none: CPU only. `note` is a word for people: `no_gpus` or `quota_zero`, if so."""

    slots: tuple[Slot, ...]
    note: str | None = None
