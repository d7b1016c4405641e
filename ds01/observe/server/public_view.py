"""What anybody may see of the server, also people without an account: the page of its state. Pure."""

from __future__ import annotations

from dataclasses import replace

from ds01.api.seeing.server_view import (
    DiskView,
    OutsideView,
    ServerContainer,
    ServerSlot,
    ServerView,
    TickView,
    WaitingView,
)
from ds01.observe.server.complaints import find_complaints
from ds01.policy.model import Reservation


def public_view(view: ServerView, *, names: bool) -> ServerView:
    """Return the view without images, ports, commands, paths, process numbers, reasons, and words of others.

    `names`: whether users and containers are named.
    """
    tick, outside = _tick(view.tick), tuple(map(_outside, view.outside))
    slots = tuple(_slot(slot, names) for slot in view.slots)
    containers = tuple(_container(item, names) for item in view.containers)
    disks = tuple(map(_disk, view.disks))
    return replace(
        view,
        slots=slots,
        containers=containers,
        users=view.users if names else (),
        queue=tuple(_waiter(waiter, names) for waiter in view.queue),
        reservations=tuple(_reservation(item, names) for item in view.reservations),
        outside=outside,
        tick=tick,
        disks=disks,
        disk_use=view.disk_use if names else (),
        # Made again, since those of the view contain names and commands.
        complaints=find_complaints(
            view.at, tick=tick, gpus=view.gpus, slots=slots, containers=containers, outside=outside, disks=disks
        ),
        unknown=tuple(text.partition(" (")[0] for text in view.unknown),  # the error in brackets can name paths
    )


def _slot(slot: ServerSlot, names: bool) -> ServerSlot:
    shown = replace(slot, processes=None)
    if slot.state in ("busy_outside", "reserved"):
        user = slot.user if names or (slot.user or "").startswith("@") else None  # a group is not a person
        return replace(shown, why=None, container=None, name=None, user=user)
    return shown if names else replace(shown, container=None, name=None, user=None)


def _container(item: ServerContainer, names: bool) -> ServerContainer:
    shown = replace(item.container, image=None, project=None, ports=(), ended=None, docker_id=None)
    if not names or shown.uid is None:  # names of containers from outside ds01 were not given to be shown
        shown = replace(shown, name="", container="", user=None, uid=None, conflict=None)
    return replace(item, container=shown)


def _waiter(waiter: WaitingView, names: bool) -> WaitingView:
    shown = replace(waiter, id="")
    return shown if names else replace(shown, user="", name="")


def _reservation(item: Reservation, names: bool) -> Reservation:
    return replace(item, reason=None, user=item.user if names else None)


def _outside(item: OutsideView) -> OutsideView:
    return replace(item, who="", user=None, pid=None, command=None)


def _tick(tick: TickView) -> TickView:
    return replace(tick, errors=(f"it reported {len(tick.errors)}",)) if tick.errors else tick


def _disk(disk: DiskView) -> DiskView:
    return replace(disk, path=f"the disk of {' and '.join(disk.holds)}")
