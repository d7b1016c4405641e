"""The facts that doctor checks, as plain data: collected in one step (collect.py), checked by pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Any

from ds01.api.seeing.server_view import OutsideView
from ds01.dataclass import dataclass
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
from ds01.system.disks import Disk

DOCKER_DATA = "Docker's data"  # an entry of `Disk.holds`


@dataclass(frozen=True)
class FileEntry:
    """A file or directory with its wanted mode, owner and group (None: any). `mode` None: it does not exist."""

    path: str
    folder: bool
    mode: int | None
    uid: int | None
    gid: int | None
    want_mode: int
    want_uid: int | None = None
    want_gid: int | None = None


@dataclass(frozen=True)
class StoppedContainer:
    """A stopped container, and the size of its own files on Docker's disk."""

    container: str
    user: str
    size_bytes: int


@dataclass(frozen=True)
class BrokenContainer:
    """A container that Docker lists but cannot inspect."""

    container: str
    ours: bool
    runs: bool
    why: str


@dataclass(frozen=True)
class CronJob:
    """The cron entry that starts the tick. `mode` None: it is missing. `running`: whether cron runs; None: unknown."""

    path: str
    mode: int | None = None
    uid: int | None = None
    text: str = ""
    running: bool | None = None


@dataclass(frozen=True)
class LastTick:
    """The last tick: its start, the start of the last one without errors, its errors, and what it could not decide.

    `problem`: why tick.json is unreadable.
    """

    started_at: datetime | None = None
    last_good_at: datetime | None = None
    errors: tuple[str, ...] = ()
    not_judged: tuple[str, ...] = ()
    problem: str | None = None


@dataclass(frozen=True)
class GpuStateFile:
    """The content of gpu-state.json by container; None: it is missing. `problem`: why it is unreadable."""

    shown: Mapping[str, Any] | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Link:
    """A command's link next to the program. `target`: where it leads; None: it is missing."""

    path: str
    target: str | None


@dataclass(frozen=True)
class KernelFacts:
    """Facts about this kernel. `device_links`: missing links of NVIDIA's devices below /dev/char -> target."""

    swap_bytes: int = 0
    limits_swap: bool = True
    nvidia_cards: int = 0  # on the PCI bus, with or without a driver
    device_links: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DoctorFacts:
    """All observed facts. For what could not be observed there is a problem, and nothing is concluded from it.

    `sandbox`: the machine's cron, groups, links and slices do not matter.
    """

    now: datetime
    sandbox: bool
    policy: Policy | None = None
    policy_problem: Ds01Error | None = None
    # the state directory
    state: str = "/var/lib/ds01"
    entries: tuple[FileEntry, ...] = ()
    disks: tuple[Disk, ...] | None = None  # None: unknown
    ledger_problem: Ds01Error | None = None
    unwritable: str | None = None  # why nothing can be written there
    records: tuple[Record, ...] = ()
    unreadable: tuple[UnreadableRecord, ...] = ()
    busy: frozenset[str] = frozenset()  # containers that a command works on
    gpu_state: GpuStateFile = field(default_factory=GpuStateFile)  # as it was together with these records
    # Docker
    engine: EngineInfo | None = None
    engine_problem: Ds01Error | None = None
    containers: tuple[EngineContainer, ...] | None = None  # None: they could not be listed
    ours: frozenset[str] = frozenset()  # the ids of those that this installation created
    broken: tuple[BrokenContainer, ...] = ()
    # Collected only if Docker's disk is nearly full, since computing sizes takes seconds.
    stopped: tuple[StoppedContainer, ...] = ()
    nvidia_hook: bool = True
    cdi: tuple[str, ...] | None = None  # NVIDIA's devices in the CDI specifications; None: CDI is not used
    # GPUs
    observation: GpuObservation | None = None
    gpus_problem: Ds01Error | None = None
    blockers: Mapping[str, Blocker] | None = None  # outside use, by slot
    outside: tuple[OutsideView, ...] = ()  # all of it, with owners and commands
    # the machine
    kernel: KernelFacts = field(default_factory=KernelFacts)
    slices: tuple[SliceChange, ...] = ()
    slices_problem: Ds01Error | None = None
    cron: CronJob | None = None
    tick: LastTick = field(default_factory=LastTick)
    docker_group: UnixGroup | None = None
    people: People = field(default_factory=People)
    memory: TickMemory = field(default_factory=TickMemory)  # of the last tick
    doubts: tuple[
        str, ...
    ] = ()  # containers whose owners' limits are uncertain, since the user database does not answer
    names: tuple[NameFinding, ...] = ()  # names of the policy that this server lacks or spells differently
    program: str | None = None
    links: tuple[Link, ...] = ()

    # Facts that a check requires, by name; None if unknown.

    @property
    def ledger(self) -> bool | None:
        """True if the records could be read, else None."""
        return True if self.ledger_problem is None else None

    @property
    def machine(self) -> bool | None:
        """True if the machine's cron, groups, links and slices matter, else None."""
        return None if self.sandbox else True

    @property
    def docker(self) -> EngineInfo | None:
        """Docker's facts; None if it does not answer or the engine is simulated."""
        return self.engine if self.engine is not None and self.engine.name == "docker" else None

    @property
    def cron_runs(self) -> bool | None:
        """Whether cron runs; None: unknown."""
        return self.cron.running if self.cron is not None else None
