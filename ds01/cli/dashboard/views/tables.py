"""Which table and which lines above it belong to a view."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ds01.api.seeing.server_view import ServerView
from ds01.cli.dashboard.screen import DIM, Line, Span, clean
from ds01.cli.dashboard.state import View
from ds01.cli.dashboard.table import Table
from ds01.cli.dashboard.views import containers, events, gpus, queue, users
from ds01.policy.units import readable_size

TABLES: dict[View, Table[Any]] = {
    View.GPUS: gpus.TABLE,
    View.CONTAINERS: containers.TABLE,
    View.USERS: users.TABLE,
    View.QUEUE: queue.TABLE,
    View.EVENTS: events.TABLE,
}


def lines_above(view: View, server: ServerView) -> Iterable[Line]:
    """Return the lines that a view shows above its table."""
    if view is View.QUEUE:
        return queue.above(server)
    if view is View.EVENTS:
        return events.above(server)
    return [_machine(server)] if view is View.CONTAINERS else []


def _machine(server: ServerView) -> Line:
    machine = server.machine
    load = "?" if machine.load is None else f"{machine.load:.1f}"
    parts = [f"load {load} of {machine.cpus or '?'} CPUs"]
    if machine.memory_bytes is not None and machine.memory_available_bytes is not None:
        used = machine.memory_bytes - machine.memory_available_bytes
        parts.append(f"memory {readable_size(used)}/{readable_size(machine.memory_bytes)}")
    parts += [f"{clean(disk.path)} {readable_size(disk.free_bytes)} free" for disk in server.disks]
    return (Span(", ".join(parts), DIM),)
