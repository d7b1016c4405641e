"""The policy, and a user's limits, as data. Units: bytes, cores, `timedelta`; None is "no limit"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any

from ds01.dataclass import dataclass


class Placement(str, Enum):
    """Whether leases are spread over the GPUs or packed onto few."""

    SPREAD = "spread"
    PACK = "pack"


class PreferredKind(str, Enum):
    """The kind of slot tried first when a request names none."""

    MIG = "mig"
    FULL = "full"


class Network(str, Enum):
    """The network of new containers."""

    BRIDGE = "bridge"
    HOST = "host"
    NONE = "none"


@dataclass(frozen=True)
class SliceLimits:
    """Limits of a slice: cores, bytes, tasks."""

    max_cpus: float | None = None
    memory: int | None = None
    max_tasks: int | None = None


@dataclass(frozen=True)
class Limits:
    """The limits of one user, resolved field by field: defaults, then the group, then the user's override."""

    max_mig_instances: int | None = 1
    max_gpus_per_container: int | None = 1
    allow_full_gpu: bool = True
    max_cpus: float | None = 8
    memory: int | None = 32 << 30
    memory_swap: int | None = None
    shm_size: int | None = 8 << 30
    pids_limit: int | None = 4096
    max_containers_per_user: int | None = 3
    idle_timeout: timedelta | None = timedelta(hours=48)
    max_runtime: timedelta | None = None
    gpu_hold_after_stop: timedelta | None = timedelta(hours=24)
    container_hold_after_stop: timedelta | None = None
    max_extension: timedelta | None = timedelta(hours=48)
    priority: int = 10
    root_inside: bool = True
    environment: Mapping[str, str | None] = field(default_factory=dict)  # None: unset, whatever other levels say
    ulimits: Mapping[str, int | None] = field(default_factory=lambda: {"memlock": -1, "stack": 64 << 20})
    aggregate: SliceLimits = field(default_factory=SliceLimits)
    group_total: SliceLimits = field(default_factory=SliceLimits)


# The values that one level of the policy sets: fields of Limits, nested ones as `aggregate.memory`, `ulimits.stack`.
LimitValues = Mapping[str, Any]


@dataclass(frozen=True)
class Group:
    """A group of users; `members` are those in the policy and in `groups/NAME.members`."""

    name: str
    members: frozenset[str] = frozenset()
    unix_groups: frozenset[str] = frozenset()
    admin: bool = False
    values: LimitValues = field(default_factory=dict)


@dataclass(frozen=True)
class Override:
    """One user's differences from the group, up to and including `until` (None: no end)."""

    user: str
    values: LimitValues = field(default_factory=dict)
    until: datetime | None = None
    reason: str | None = None


@dataclass(frozen=True)
class UserLimits:
    """The limits of one user, and where each of them comes from."""

    user: str
    group: str
    admin: bool
    limits: Limits
    sources: Mapping[str, str]  # key -> defaults, groups.NAME or user_overrides.NAME
    exempt_from: tuple[str, ...] = ()  # limits lifted by exemptions in force, `created_timeout` included


@dataclass(frozen=True)
class Reservation:
    """Slots that belong to `user` or to `group` from `start` until `end`."""

    slots: tuple[str, ...]
    start: datetime
    end: datetime
    user: str | None = None
    group: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Exemption:
    """`user` is exempt from the named limits up to and including `until` (None: no end)."""

    user: str
    limits: tuple[str, ...]
    until: datetime | None = None
    reason: str | None = None


@dataclass(frozen=True)
class GpuAllocation:
    """How slots are offered and chosen. `mig_profile` is the profile that doctor expects."""

    enable_mig: bool = True
    mig_profile: str | None = None
    placement: Placement = Placement.SPREAD
    prefer: PreferredKind = PreferredKind.MIG


@dataclass(frozen=True)
class AutomationRules:
    """The section `policies`: thresholds of the automation and its delays."""

    idle_cpu_percent: float = 1.0
    idle_gpu_percent: float = 5.0
    idle_network_rate: int = 10 << 10
    warn_idle_at: float = 0.8
    warn_runtime_at: float = 0.9
    created_timeout: timedelta | None = timedelta(minutes=30)
    stop_grace: timedelta = timedelta(seconds=60)
    keep_alive_max: timedelta | None = None


@dataclass(frozen=True)
class MountRoots:
    """Host directories below which users may mount; their own home is always allowed."""

    workspace: tuple[str, ...] = ()
    data: tuple[str, ...] = ("/data",)
    models: tuple[str, ...] = ("/models",)


@dataclass(frozen=True)
class OutsideUse:
    """Outside use that does not make a GPU busy.

    `ignore_graphics_below`: graphics-only processes with less GPU memory than this; None: with any amount.
    """

    ignore_containers: tuple[str, ...] = ("dcgm-exporter",)
    ignore_processes: tuple[str, ...] = (
        # display servers, desktops and login screens
        "Xorg", "X", "Xwayland", "gnome-shell", "gnome-remote-desktop-daemon", "mutter", "kwin_x11", "kwin_wayland",
        "plasmashell", "ksmserver", "cinnamon", "xfwm4", "marco", "compiz", "sway", "weston", "gdm-x-session",
        "gdm-wayland-session", "sddm", "sddm-greeter", "lightdm", "lightdm-gtk-greeter", "Xvnc",
        # NVIDIA's own services and tools
        "nvidia-persistenced", "nvidia-powerd", "nv-fabricmanager", "nvidia-imex", "nvidia-smi", "nvidia-settings",
        "nvidia-cuda-mps-server", "nvidia-cuda-mps-control", "nv-hostengine", "dcgmi", "dcgm-exporter",
        # monitoring
        "nvtop", "nvitop", "gpustat", "btop", "glances", "nvidia_gpu_exporter", "node_exporter", "telegraf", "netdata",
        "go.d.plugin", "collectd", "zabbix_agentd", "zabbix_agent2", "otelcol-contrib",
    )  # fmt: skip
    ignore_graphics_below: int | None = 512 << 20
    ignore_missing_process_list: bool = False  # count GPUs without a process list (vGPU guests) as unused


@dataclass(frozen=True)
class NotificationSettings:
    """How owners are notified: on their terminals, and through a program that gets one JSON event on stdin."""

    terminal: bool = True
    command: tuple[str, ...] | None = None


@dataclass(frozen=True)
class MetricsSettings:
    """What each tick writes for monitoring: a file of node_exporter's textfile collector, and a directory of
    dcgm-exporter's job mapping. None: not written.
    """

    textfile: str | None = None
    dcgm_job_mapping: str | None = None


@dataclass(frozen=True)
class ReportSettings:
    """Factors of `ds01 report` for a kilowatt hour; None: it computes no cost or no CO2.

    `monthly`: the directory in which the tick writes the report of the last month.
    """

    energy_price: float | None = None
    currency: str = "EUR"
    co2_grams_per_kwh: float | None = None
    monthly: str | None = None


@dataclass(frozen=True)
class LegacyKey:
    """A key of an older installation that was accepted, and its replacement, like `max_runtime: 48h`."""

    file: str
    line: int
    key: str
    instead: str


@dataclass(frozen=True)
class LastGoodMembers:
    """A file of members that was emptied; the group's last good members count until then."""

    file: str
    group: str
    count: int
    until: datetime

    def __str__(self) -> str:
        members = "1 member" if self.count == 1 else f"{self.count} members"
        return (
            f"{self.file} was emptied; the last {members} of {self.group} count until {self.until:%Y-%m-%d %H:%M} UTC"
        )


@dataclass(frozen=True)
class Policy:
    """The validated policy. `groups` are in file order; None for `default_group` is the group `default`."""

    path: Path
    defaults: LimitValues = field(default_factory=dict)
    default_group: str | None = None
    groups: Mapping[str, Group] = field(default_factory=dict)
    user_overrides: Mapping[str, Override] = field(default_factory=dict)
    reservations: tuple[Reservation, ...] = ()
    exemptions: tuple[Exemption, ...] = ()
    gpu_allocation: GpuAllocation = field(default_factory=GpuAllocation)
    policies: AutomationRules = field(default_factory=AutomationRules)
    mounts: MountRoots = field(default_factory=MountRoots)
    ports: tuple[int, ...] = (8888, 6006)
    network: Network = Network.BRIDGE
    reclaim_held: bool = False
    server_name: str | None = None  # what users type to reach this server; None: its hostname
    outside: OutsideUse = field(default_factory=OutsideUse)
    notify: NotificationSettings = field(default_factory=NotificationSettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    report: ReportSettings = field(default_factory=ReportSettings)
    workspaces: str | None = None
    status_page: str | None = None  # the file of the page that each tick writes
    status_page_names: bool = True  # whether that page names users and containers
    old_keys: tuple[LegacyKey, ...] = ()

    def workspaces_of(self, login: str, home: str) -> str:
        """Return the directory of a user's workspaces: `workspaces`/LOGIN if the policy sets it, else `~/workspace`."""
        return f"{home}/workspace" if self.workspaces is None else f"{self.workspaces}/{login}"

    last_good_members: tuple[LastGoodMembers, ...] = ()
