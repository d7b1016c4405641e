"""A busy server as data, for screenshots and for tests: every state, known and unknown, at one moment."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from ds01.api.seeing.server_view import (
    DiskView,
    MachineView,
    ServerContainer,
    ServerGpu,
    ServerSlot,
    ServerView,
    SlotSupply,
    TickView,
    WaitingView,
)
from ds01.api.types import Deadline
from ds01.api.views import ContainerView
from ds01.gpus.model import GpuRequest, GpuType, SlotKind
from ds01.policy.model import Reservation
from ds01.records.record import Origin

NOW = datetime(2026, 11, 30, 12, 4, tzinfo=timezone.utc)
GIB = 1 << 30
MODEL = "NVIDIA A100-SXM4-80GB"


def hours(number: float) -> timedelta:
    return timedelta(hours=number)


def slot(
    name: str,
    user: str | None = None,
    container: str | None = None,
    *,
    state: str | None = None,
    since: float | None = None,
    idle: float | None = None,
    activity: str | None = None,
    next_: tuple[float, str] | None = None,
    use: float | None = None,
    used: float | None = None,
    memory: float | None = None,
    profile: str | None = None,
    why: str | None = None,
) -> ServerSlot:
    """Return a slot; times in hours before or after NOW, memory in GiB."""
    size = 20 if profile else 80
    return ServerSlot(
        slot=name,
        uuid=f"GPU-{name}",
        kind=SlotKind.MIG if profile else SlotKind.FULL,
        profile=profile,
        gpu=int(name.partition(":")[0]),
        model=MODEL,
        state=state or ("leased" if user else "free"),
        why=why,
        lost=False,
        container=f"{container}._.1000" if container else None,
        name=container,
        user=user,
        since=None if since is None else NOW - hours(since),
        until=None,
        deadline=None if next_ is None else Deadline(NOW + hours(next_[0]), next_[1]),
        activity=activity,
        idle_since=None if idle is None else NOW - hours(idle),
        used_percent=used,
        utilisation_percent=use,
        memory_used_bytes=None if memory is None else round(memory * GIB),
        memory_bytes=size * GIB,
        processes=None,
    )


def container(name: str, user: str) -> ServerContainer:
    """Return a running container."""
    view = ContainerView(
        name=name,
        container=f"{name}._.1000",
        user=user,
        uid=1000,
        state="running",
        paused=False,
        image="pytorch/pytorch",
        project=None,
        gpus=(),
        gpus_fixed=(),
        ports=(),
        created_at=NOW - hours(5),
        started_at=NOW - hours(5),
        stopped_at=None,
        held_until=None,
        idle_since=None,
        kept_alive=False,
        deadline=None,
        docker_id="0123456789ab",
        conflict=None,
        ended=None,
        origin=Origin.CREATED,
    )
    return ServerContainer(view, "students", 250.0, 8, 12 * GIB, 32 * GIB, 40, 4096, "active")


SLOTS = (
    slot("0", "amelie", "diffusion", since=30, activity="active", next_=(90, "runtime"), use=96, used=91, memory=71.5),
    slot("1", "jonas", "notebook", since=76, idle=31, activity="idle", next_=(17, "idle"), use=0, used=4, memory=22.1),
    slot("2:0", "mehmet", "thesis", since=3.2, activity="active", next_=(45, "idle"), memory=14.8, profile="2g.20gb"),
    slot("2:1", "chiara", "rl-sweep", state="held", since=52, next_=(6.5, "hold"), memory=0, profile="2g.20gb"),
    slot("2:2", memory=0, profile="2g.20gb"),
    slot("3", use=38, memory=9.4, state="busy_outside"),
    slot("4", "@vision", state="reserved", since=4, use=0, memory=0),
    slot("5", use=0, memory=0),
    slot("6", state="unhealthy", why="ECC: 2 uncorrectable errors"),
    slot("7", "fatima", "llm-eval", since=0.4, activity="unknown", next_=(47, "idle"), use=62, memory=64),
)  # fmt: skip

GPUS = tuple(
    ServerGpu(
        index=index,
        uuid=f"GPU-{index}",
        model=MODEL,
        mig="enabled" if index == 2 else "disabled",
        unhealthy="ECC: 2 uncorrectable errors" if index == 6 else None,
        utilisation_percent=None if index == 2 else 50,
        memory_used_bytes=None,
        memory_bytes=80 * GIB,
        temperature_celsius=None if index == 6 else 34 + 4 * index,
        power_watts=None if index == 6 else 61 + 35 * index,
    )
    for index in range(8)
)

VIEW = ServerView(
    at=NOW,
    driver="570.86.15",
    simulated=False,
    machine=MachineView("gpu.example.org", 128, 41.7, 1024 * GIB, 690 * GIB, NOW - hours(600)),
    gpus=GPUS,
    slots=SLOTS,
    supply=(
        SlotSupply(SlotKind.FULL, None, MODEL, 7, 1, None),
        SlotSupply(SlotKind.MIG, "2g.20gb", None, 3, 1, None),
    ),
    containers=tuple(
        container(item.name, item.user) for item in SLOTS if item.name and item.user and item.state == "leased"
    ),
    users=(),
    groups=(),
    queue=(
        WaitingView("", "lukas", "finetune", GpuRequest(2, GpuType.FULL), 50, NOW - hours(2), 1, None, NOW + hours(9)),
        WaitingView("", "sofia", "segmentation", GpuRequest(1), 10, NOW - hours(0.3), 2, None, None),
    ),
    reservations=(
        Reservation(("4",), NOW - hours(4), NOW + hours(124), group="vision"),
        Reservation(("2:0", "2:1"), NOW + hours(20), NOW + hours(164), user="chiara"),
    ),
    outside=(),
    tick=TickView(NOW - hours(0.05), 2.4, NOW - hours(0.05), ()),
    disks=(
        DiskView("", ("ds01's state", "Docker's data"), 3600 * GIB, 1210 * GIB),
        DiskView("", ("workspaces",), 14000 * GIB, 520 * GIB),
    ),
    complaints=(
        "GPU 6: ECC: 2 uncorrectable errors",
        "the disk of workspaces is nearly full: 520g of 13.7t left",
    ),
    unknown=(),
)  # fmt: skip
