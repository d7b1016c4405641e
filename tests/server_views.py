"""Views of a whole server for tests: one with something of everything, to change by `dataclasses.replace`."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from ds01.api.seeing.server_view import (
    DiskUseView,
    DiskView,
    MachineView,
    OutsideView,
    ServerContainer,
    ServerGpu,
    ServerSlot,
    ServerUser,
    ServerView,
    TickView,
    WaitingView,
)
from ds01.api.views import ContainerView
from ds01.gpus.model import GpuRequest, SlotKind
from ds01.observe.accounting.totals import UserTotals
from ds01.records.record import Origin
from tests.harness import NOON

HOUR = timedelta(hours=1)


def make_slot(slot_name: str = "0", /, **more: object) -> ServerSlot:
    """Return a free slot; a name like `0:1` is a MIG instance."""
    gpu, _, instance = slot_name.partition(":")
    kind = SlotKind.MIG if instance else SlotKind.FULL
    slot = ServerSlot(
        slot=slot_name, uuid=f"UUID-{slot_name}", kind=kind, profile="2g.10gb" if instance else None, gpu=int(gpu),
        model="A100", state="free", why=None, lost=False, container=None, name=None, user=None,
        since=None, until=None, deadline=None,
        activity=None, idle_since=None, used_percent=None, utilisation_percent=None, memory_used_bytes=0,
        memory_bytes=40 << 30, processes=(), gpu_instance=int(instance) + 7 if instance else None,
    )  # fmt: skip
    return replace(slot, **more)  # type: ignore[arg-type]


def leased_slot(slot_name: str = "0", user: str = "alice", **more: object) -> ServerSlot:
    """Return a slot that has been leased for an hour, and is in use."""
    container = f"thesis._.{user}"
    usual: dict[str, object] = {"state": "leased", "container": container, "name": "thesis", "user": user,
                                "since": NOON - HOUR, "activity": "active"}  # fmt: skip
    return make_slot(slot_name, **usual | more)


def held_slot(slot_name: str = "0", user: str = "bob", **more: object) -> ServerSlot:
    """Return the slot of a container that was stopped ten minutes ago; the hold ends in two hours."""
    return leased_slot(slot_name, user, **{"state": "held", "activity": None, "until": NOON + 2 * HOUR} | more)


def make_container(user: str, state: str = "running", **more: object) -> ServerContainer:
    """Return the container of `leased_slot` and `held_slot`."""
    stopped = NOON - timedelta(minutes=10) if state == "held" else None
    view = ContainerView(
        name="thesis", container=f"thesis._.{user}", user=user, uid=70001, state=state, paused=False, image="image",
        project=None, gpus=(), gpus_fixed=(), ports=(), created_at=NOON - HOUR, started_at=NOON - HOUR,
        stopped_at=stopped, held_until=None, idle_since=None, kept_alive=False, deadline=None, docker_id="id",
        conflict=None, ended=None, origin=Origin.CREATED,
    )  # fmt: skip
    container = ServerContainer(view, "students", 50.0, 8, 1 << 30, 32 << 30, 10, 4096, "active")
    return replace(container, **more)  # type: ignore[arg-type]


def make_user(user: str, **more: object) -> ServerUser:
    """Return a user with one slot of two and one container of three."""
    view = ServerUser(user, 70001, "students", 10, 1, 2, 1, 3, 1, 150.0, 1 << 30, 0)
    return replace(view, **more)  # type: ignore[arg-type]


def full_view(**more: object) -> ServerView:
    """Return the view of a server with something of everything."""
    view = ServerView(
        at=NOON,
        driver="550.54",
        simulated=False,
        machine=MachineView("gpu1", 64, 3.5, 512 << 30, 100 << 30, NOON - 100 * HOUR),
        gpus=(
            ServerGpu(0, "GPU-0", "A100", "off", None, 10.0, 1 << 30, 40 << 30, 40.0, 100.0),
            ServerGpu(1, "GPU-1", "A100", "instances", None, 10.0, 1 << 30, 40 << 30, 40.0, 100.0),
        ),
        slots=(leased_slot("0"), held_slot("1:0"), make_slot("1:1")),
        supply=(),
        containers=(make_container("alice"), make_container("bob", "held")),
        users=(make_user("alice"), make_user("bob", running=0)),
        groups=(),
        queue=(WaitingView("w", "carol", "thesis", GpuRequest(1), 10, NOON - HOUR, 1, "none_free", None),),
        reservations=(),
        outside=(OutsideView("1:1", "process", "python", "dave", 4711, NOON - HOUR),),
        tick=TickView(NOON - timedelta(minutes=3), 1.5, NOON - timedelta(minutes=3), ()),
        disks=(DiskView("/var/lib/docker", ("Docker's data",), 1 << 40, 1 << 39),),
        disk_use=(
            DiskUseView("workspaces", "alice", 70001, 5 << 30, NOON - HOUR),
            DiskUseView("volumes", None, None, 1 << 30, NOON - HOUR),
        ),
        complaints=("something",),
        unknown=(),
    )
    return replace(view, **more)  # type: ignore[arg-type]


TOTALS = (UserTotals("alice", "students", 7200, 600, 1200, 1800),)
