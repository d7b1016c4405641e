"""What doctor looks at, as plain data: gathered in one step (`look`), judged by pure functions (`checks`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ds01.engines.protocol import EngineContainer, EngineInfo
from ds01.errors import Ds01Error
from ds01.gpus.model import Blocker, GpuObservation
from ds01.host.people import People, UnixGroup
from ds01.host.policy_names import NameFinding
from ds01.host.slices import SliceChange
from ds01.policy.model import Policy
from ds01.records.ledger import UnreadableRecord
from ds01.records.record import Record
from ds01.records.store.tick_memory import TickMemory

DOCKER_DATA = "Docker's data"  # as a disk has it among what lies there


@dataclass(frozen=True)
class FileEntry:
    """A file or folder that is to have a mode, and an owner and group where these matter. `mode` None: not there."""

    path: str
    folder: bool
    mode: int | None
    uid: int | None
    gid: int | None
    want_mode: int
    want_uid: int | None = None
    want_gid: int | None = None


@dataclass(frozen=True)
class Disk:
    """The file system below a folder."""

    path: str
    holds: tuple[str, ...]  # what lies there, for people
    total_bytes: int
    free_bytes: int
    total_files: int  # 0: the file system does not count
    free_files: int


@dataclass(frozen=True)
class StoppedContainer:
    """A stopped container, and what its own files take of Docker's disk."""

    container: str
    user: str
    size_bytes: int


@dataclass(frozen=True)
class BrokenContainer:
    """A container that Docker lists and cannot inspect."""

    container: str
    ours: bool
    runs: bool
    why: str


@dataclass(frozen=True)
class CronJob:
    """The entry that starts the tick. `mode` None: there is none. `running` None: it is not known."""

    path: str
    mode: int | None = None
    uid: int | None = None
    text: str = ""
    running: bool | None = None


@dataclass(frozen=True)
class LastTick:
    """The last pass: when it began, when the last one without errors did, its errors, and what it could not judge.

    `problem`: it is unreadable.
    """

    started_at: datetime | None = None
    last_good_at: datetime | None = None
    errors: tuple[str, ...] = ()
    not_judged: tuple[str, ...] = ()
    problem: str | None = None


@dataclass(frozen=True)
class GpuStateFile:
    """What gpu-state.json shows of each container; None: it is not there. `problem`: unreadable."""

    shown: Mapping[str, Any] | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Link:
    """A command's name beside the program. `target` is where it leads, None if it is not there."""

    path: str
    target: str | None


@dataclass(frozen=True)
class KernelFacts:
    """What matters of this kernel. `device_links` are links below /dev/char that NVIDIA's devices lack -> target."""

    swap_bytes: int = 0
    limits_swap: bool = True
    nvidia_cards: int = 0  # on the PCI bus, whether a driver has them or not
    device_links: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DoctorFacts:
    """All that was observed. What could not be has its problem beside it, and nothing is concluded from it.

    `own`: the state folder is one's own, so that the machine's cron, groups, links and slices do not count.
    """

    now: datetime
    sandbox: bool
    policy: Policy | None = None
    policy_problem: Ds01Error | None = None
    # the state folder
    state: str = "/var/lib/ds01"
    entries: tuple[FileEntry, ...] = ()
    disks: tuple[Disk, ...] | None = None  # None: none of them could be asked
    ledger_problem: Ds01Error | None = None
    unwritable: str | None = None  # why nothing can be written there
    records: tuple[Record, ...] = ()
    unreadable: tuple[UnreadableRecord, ...] = ()
    busy: frozenset[str] = frozenset()  # containers that a command is at work on
    gpu_state: GpuStateFile = field(default_factory=GpuStateFile)  # as it is beside just these records
    # Docker
    engine: EngineInfo | None = None
    engine_problem: Ds01Error | None = None
    containers: tuple[EngineContainer, ...] | None = None  # None: nobody could list them
    ours: frozenset[str] = frozenset()  # the ids of those that this installation made
    broken: tuple[BrokenContainer, ...] = ()
    stopped: tuple[
        StoppedContainer, ...
    ] = ()  # looked at when Docker's disk is nearly full: adding up files takes seconds
    nvidia_hook: bool = True
    cdi: tuple[str, ...] | None = None  # NVIDIA's devices in the CDI specifications; None: they are not used
    # GPUs
    observation: GpuObservation | None = None
    gpus_problem: Ds01Error | None = None
    blockers: Mapping[str, Blocker] | None = None  # what uses slots from outside, by slot
    # the machine
    kernel: KernelFacts = field(default_factory=KernelFacts)
    slices: tuple[SliceChange, ...] = ()
    slices_problem: Ds01Error | None = None
    cron: CronJob | None = None
    tick: LastTick = field(default_factory=LastTick)
    docker_group: UnixGroup | None = None
    people: People = field(default_factory=People)
    memory: TickMemory = field(default_factory=TickMemory)  # of the last tick
    doubts: tuple[str, ...] = ()  # whose limits cannot be known, since the user database does not answer
    names: tuple[NameFinding, ...] = ()  # of the policy, that this server lacks or spells differently
    program: str | None = None
    links: tuple[Link, ...] = ()

    # What a check needs, by name: None if it was not looked at.

    @property
    def ledger(self) -> bool | None:
        """Whether there is one to look at, or None."""
        return True if self.ledger_problem is None else None

    @property
    def machine(self) -> bool | None:
        """Whether the machine's cron, groups, links and slices were looked at, or None."""
        return None if self.sandbox else True

    @property
    def docker(self) -> EngineInfo | None:
        """Docker, or None: it does not answer, or the engine is simulated."""
        return self.engine if self.engine is not None and self.engine.name == "docker" else None

    @property
    def cron_runs(self) -> bool | None:
        """Whether cron runs; None: it is not known."""
        return self.cron.running if self.cron is not None else None
