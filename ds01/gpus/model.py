"""Slots, leases and requests as data. A slot is a whole GPU (`0`) or one MIG instance (`0:1`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from enum import Enum
from typing import Any

from ds01.dataclass import dataclass


def slot_sort_key(slot: str) -> tuple[int, ...]:
    """Return a numeric sort key: `2` before `10`, `0:2` before `0:10`. Anything but a slot name comes last."""
    parts = slot.split(":")
    return tuple(int(part) for part in parts) if all(part.isdecimal() for part in parts) else (1 << 31,)


class SlotKind(str, Enum):
    """Whether a slot is a whole GPU or a MIG instance."""

    FULL = "full"
    MIG = "mig"


class MigState(str, Enum):
    """The MIG state of a GPU. `off` offers the whole GPU, `instances` its MIG instances, the others nothing."""

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

    A MIG instance that is created again can have the UUID of its predecessor; GPU, place and boot tell them apart.
    """

    slot: str  # its name; its UUID while the hardware does not have it (slot_names.py)
    uuid: str
    kind: SlotKind
    profile: str | None = None  # of MIG instances: `2g.10gb`
    was: str | None = None  # the name at the time of the lease, if different
    gpu_uuid: str | None = None
    gi: int | None = None
    ci: int | None = None
    boot: str | None = None  # the id of the kernel's boot at the time of the lease


@dataclass(frozen=True)
class GpuProcess:
    """A process that NVML reports. `container` is the Docker id in its cgroup path, if any."""

    pid: int
    name: str | None = None
    container: str | None = None
    memory_bytes: int | None = None
    graphics_only: bool = False  # uses the GPU for graphics, not for compute


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
    unhealthy: str | None = None  # why it must not be leased
    processes: tuple[GpuProcess, ...] | None = ()  # None: unknown, which counts as use
    lists_processes: bool = True  # False: the driver keeps no list for this GPU, as in a vGPU guest
    utilisation_percent: float | None = None  # of a MIG instance; None: unknown or not measured
    boot: str | None = None  # the id of the kernel's boot, if known

    @property
    def ref(self) -> SlotRef:
        """What a lease remembers of the slot."""
        return SlotRef(
            self.slot, self.uuid, self.kind, self.profile,
            gpu_uuid=self.gpu_uuid, gi=self.gi, ci=self.ci, boot=self.boot,
        )  # fmt: skip


@dataclass(frozen=True)
class Gpu:
    """One physical GPU: percent, watts, °C, joules, bytes; None means unknown."""

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
    """The GPUs and slots at one moment. `driver` is the driver's version, or `simulated`."""

    gpus: tuple[Gpu, ...]
    slots: tuple[Slot, ...]
    driver: str
    simulated: bool = False
    boot: str | None = None  # the id of the kernel's boot, if known

    def utilisation_of(self, slot: Slot) -> float | None:
        """Return how busy a slot is in percent; None if unknown.

        A GPU's own counter does not cover its MIG instances, which are measured separately.
        """
        if slot.kind is not SlotKind.FULL:
            return slot.utilisation_percent
        return next((gpu.utilisation_percent for gpu in self.gpus if gpu.index == slot.gpu), None)


@dataclass(frozen=True)
class Lease:
    """The slots of one container, and since when. `source`: `local`, or `manual` for `ds01 gpu allocate`."""

    slots: tuple[SlotRef, ...]
    since: datetime
    source: str = "local"


@dataclass(frozen=True)
class ActiveLease:
    """A lease as the allocator sees it: who holds which slots until when (None: no end known)."""

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
    waiting: bool = False  # no lease yet: slots set aside for a request ahead in the queue
    original_names: tuple[str, ...] = ()  # the slots' names at the time of the lease; empty: as `slots`
    unobserved: tuple[str, ...] = ()  # UUIDs of slots whose GPU does not answer


@dataclass(frozen=True)
class GpuRequest:
    """The GPUs that a container requests.

    `count` None: the user gave no number. Then it is one slot; but none if the quota is 0 or the server has no GPU.
    """

    count: int | None = None
    type: GpuType = GpuType.ANY
    profile: str | None = None
    uuids: tuple[str, ...] | None = None  # exactly these slots, for a restart


@dataclass(frozen=True)
class Blocker:
    """Why a slot without a lease is not free: outside use, or use that cannot be ruled out."""

    what: str  # container, process, unknown
    who: str  # name of the container or process, or a description
    key: str | None = None  # the policy key that would ignore it
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Claim:
    """A slot that is not free: who has it and until when. Shown in refusals."""

    slot: str
    state: str  # leased, held, waiting, reserved, busy_outside, unhealthy, or lost (`slot` is then the UUID)
    container: str | None = None
    user: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    why: str | None = None
    manual: bool = False  # a manual lease, without a container


class Rule(str, Enum):
    """The rule that refused a request."""

    NO_GPUS = "no_gpus"  # the server has no slot of that kind, or too few
    PER_CONTAINER = "max_gpus_per_container"
    FULL_GPU = "allow_full_gpu"
    QUOTA = "max_mig_instances"
    CONTAINERS = "max_containers_per_user"
    NONE_FREE = "none_free"
    LOST = "lost"  # a restart needs slots that the hardware no longer has


@dataclass(frozen=True)
class Refusal:
    """A refusal as data: the rule, its limit, the current use, the number requested, and who holds what until when.

    `temporary` is true if waiting can help (exit code 4), false if only another policy or request can (3).
    """

    rule: Rule
    temporary: bool
    asked: int
    limit: int | None = None
    used: int | None = None
    claims: tuple[Claim, ...] = ()
    earliest: datetime | None = None  # when enough suitable slots are free, if known
    free: tuple[SlotRef, ...] = ()  # free for this user now, but too few or of another kind


@dataclass(frozen=True)
class Choice:
    """The chosen slots; empty: CPU only. `note` says why there are none: `no_gpus`, `quota_zero` or None."""

    slots: tuple[Slot, ...]
    note: str | None = None
