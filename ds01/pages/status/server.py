"""Queue, reservations, the machine with its disks, the last tick, and what needs an administrator."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ds01.api.seeing.server_view import ServerView, WaitingView
from ds01.gpus.model import GpuRequest
from ds01.pages.charts.bars import percent_bar
from ds01.pages.markup import Content, Element, element, untrusted
from ds01.pages.tables import card_table
from ds01.pages.texts import UNKNOWN, count_text, duration, full_moment, moment, percent_text, size_text
from ds01.policy.model import Reservation


def unknown_section(view: ServerView) -> Element | None:
    """Return what did not answer while the view was gathered."""
    if not view.unknown:
        return None
    return element("div", (element("p", untrusted(text)) for text in view.unknown), class_="box", role="note")


def queue_section(view: ServerView) -> Element | None:
    """Return who waits for a GPU, in order."""
    if not view.queue:
        return None
    headings = ("Place", "Who", "Wants", "Has waited", "Perhaps at")
    table = card_table(headings, (_waiter(waiter, view.at) for waiter in view.queue))
    return element("section", element("h2", "Queue"), table)


def _waiter(waiter: WaitingView, now: datetime) -> tuple[Content, ...]:
    return (
        str(waiter.position),
        [untrusted(waiter.user), element("small", untrusted(waiter.name))] if waiter.user else "somebody",
        _wanted(waiter.gpus),
        duration(now - waiter.since),
        UNKNOWN if waiter.earliest is None else moment(waiter.earliest, now),
    )


def _wanted(request: GpuRequest) -> str:
    number = len(request.uuids) if request.uuids is not None else request.count or 1
    kind = request.profile or {"mig": "MIG instance", "full": "whole GPU"}.get(request.type.value, "GPU")
    return f"{number} × {kind}"


def reservations_section(view: ServerView) -> Element | None:
    """Return the reservations now and to come."""
    if not view.reservations:
        return None
    rows = (element("li", _reservation(item, view.at)) for item in view.reservations)
    return element("section", element("h2", "Reservations"), element("ul", rows))


def _reservation(item: Reservation, now: datetime) -> Content:
    holder: Content = untrusted(item.user) if item.user is not None else "somebody"
    if item.group is not None:
        holder = ["the group ", untrusted(item.group)]
    start: Content = "now" if item.start <= now else ["from ", full_moment(item.start)]
    return [", ".join(item.slots), " for ", holder, ", ", start, " to ", full_moment(item.end)]


def server_section(view: ServerView) -> Element:
    """Return load, memory and disks."""
    machine = view.machine
    running = sum(item.container.state == "running" for item in view.containers)
    tiles = [
        _tile("Containers", str(running), "running"),
        _tile("Load", UNKNOWN if machine.load is None else f"{machine.load:.1f}", f"{machine.cpus or UNKNOWN} CPUs"),
        _share("Memory", machine.memory_bytes, machine.memory_available_bytes),
        *(_share(f"Disk: {', '.join(disk.holds)}", disk.total_bytes, disk.free_bytes) for disk in view.disks),
    ]
    return element("section", element("h2", "Server"), element("div", tiles, class_="tiles"))


def _tile(name: str, number: str, text: str) -> Element:
    return element(
        "div", element("p", name, class_="muted"), element("strong", number), element("p", text), class_="tile"
    )


def _share(name: str, total: int | None, free: int | None) -> Element:
    """Return a tile with what is used of a total, both in bytes."""
    percent = (total - free) / total * 100 if total and free is not None else None
    return element(
        "div",
        element("p", name, class_="muted"),
        element("strong", percent_text(percent)),
        percent_bar(percent),
        element("p", f"{size_text(free)} of {size_text(total)} free", class_="muted"),
        class_="tile",
    )


def tick_section(view: ServerView) -> Element:
    """Return the last pass of the automation, and what needs an administrator."""
    tick = view.tick
    last: Content = "The automation has not run yet."
    if tick.started_at is not None:
        took = "" if tick.seconds is None else f", and took {tick.seconds:.1f} s"
        last = ["The automation last ran at ", full_moment(tick.started_at), took, "."]
    return element("section", element("h2", "Automation"), element("p", last), _complaints(view.complaints))


def _complaints(complaints: Sequence[str]) -> Element | None:
    if not complaints:
        return None
    rows = (element("li", untrusted(text)) for text in complaints)
    heading = element("p", element("strong", f"{count_text(len(complaints), 'thing')} for an administrator:"))
    return element("div", heading, element("ul", rows), class_="box")
