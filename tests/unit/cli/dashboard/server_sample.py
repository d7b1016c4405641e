"""A small server for the dashboard's tests: two GPUs, three owners, a waiter, and the last hour's utilisation."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from ds01.api.seeing.events import EventView
from ds01.api.seeing.operations import GetServerView
from ds01.api.seeing.server_view import (
    DiskView,
    MachineView,
    ProcessView,
    ServerContainer,
    ServerGpu,
    ServerSlot,
    ServerView,
    TickView,
    WaitingView,
)
from ds01.cli.dashboard.sample import Sample
from ds01.gpus.model import GpuRequest, GpuType
from tests.harness import NOON, Harness

GIB = 1 << 30
MACHINE = MachineView("gpu01", 64, 12.3, 512 * GIB, 300 * GIB, NOON - timedelta(days=3))
USE = {"0": 87.0, "1:0": 3.0, "1:1": None, "1:2": None}  # of the slots, in percent


def server_view(harness: Harness) -> ServerView:
    """Return the view: alice trains on a whole GPU, bob's container is idle, carol's is stopped and held."""
    for login, kind in (("alice", GpuType.FULL), ("bob", GpuType.MIG), ("carol", GpuType.MIG)):
        request = harness.request(login, f"{login}s-job")
        request = replace(request, gpus=GpuRequest(1, kind), workspace=str(harness.home(login) / "workspace/thesis"))
        harness.gate.create(harness.actor(login), request, start=True)
    harness.gate.stop(harness.actor("carol"), harness.full("carol", "carols-job"))
    harness.clock.advance(hours=5)
    view = harness.gate.run(harness.actor("boss"), GetServerView())
    now = view.at
    return replace(
        view,
        machine=MACHINE,
        simulated=False,
        gpus=tuple(map(_gpu, view.gpus)),
        slots=tuple(_slot(slot, now) for slot in view.slots),
        containers=tuple(_container(item, now) for item in view.containers),
        queue=(_waiter(now),),
        tick=TickView(now - timedelta(minutes=3), 0.4, now - timedelta(minutes=3), ()),
        disks=(DiskView("/", ("ds01's state",), 1000 * GIB, 400 * GIB),),
        complaints=("0:1 is used outside ds01 by Xorg",),
    )


def server_sample(harness: Harness) -> Sample:
    """Return the view with a history of 40 minutes, and three events."""
    view = server_view(harness)
    sample = Sample(view.at, view, age=1.0, events=_events(view.at))
    for minutes in range(40, -1, -1):
        slots = tuple(
            replace(
                slot,
                utilisation_percent=None
                if slot.utilisation_percent is None
                else slot.utilisation_percent * (40 - minutes) / 40,
            )
            for slot in view.slots
        )
        sample.history.add(replace(view, at=view.at - timedelta(minutes=minutes), slots=slots))
    return sample


def _gpu(gpu: ServerGpu) -> ServerGpu:
    if gpu.index == 0:
        return replace(
            gpu, utilisation_percent=87.0, memory_used_bytes=30 * GIB, temperature_celsius=64.0, power_watts=287.4
        )
    return replace(gpu, utilisation_percent=None, memory_used_bytes=None, temperature_celsius=41.0, power_watts=None)


def _slot(slot: ServerSlot, now: datetime) -> ServerSlot:
    changed = replace(slot, utilisation_percent=USE[slot.slot])
    if slot.user == "alice":
        process = ProcessView(4711, "alice", "python train.py", 30 * GIB, slot.container)
        return replace(changed, memory_used_bytes=30 * GIB, activity="active", used_percent=71.0, processes=(process,))
    if slot.user == "bob":
        idle = now - timedelta(hours=3, minutes=20)
        return replace(changed, activity="idle", idle_since=idle, used_percent=1.4, processes=())
    return replace(changed, memory_used_bytes=None, processes=None)


def _container(item: ServerContainer, now: datetime) -> ServerContainer:
    if item.container.user == "alice":
        return replace(item, cpu_percent=612.0, cpus=8.0, memory_bytes=30 * GIB, memory_limit_bytes=32 * GIB, pids=40)
    idle = now - timedelta(hours=3, minutes=20) if item.container.user == "bob" else None
    return replace(item, container=replace(item.container, idle_since=idle), memory_bytes=None, pids=None)


def _waiter(now: datetime) -> WaitingView:
    return WaitingView(
        "w1", "dave", "big", GpuRequest(2, GpuType.MIG), 50, now - timedelta(minutes=12), 1, "none_free",
        now + timedelta(hours=2),
    )  # fmt: skip


def _events(now: datetime) -> tuple[EventView, ...]:
    return (
        EventView(now - timedelta(hours=5), "create", "alice", "alices-job._.70001", "alice", None, {}, "created"),
        EventView(
            now - timedelta(hours=1), "stop", "carol", "carols-job._.70003", "carol", None, {}, "stopped by carol"
        ),
        EventView(
            now - timedelta(minutes=2), "warning", "tick", "bobs-job._.70002", "bob", None, {}, "idle, will stop"
        ),
    )
