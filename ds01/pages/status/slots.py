"""What is free, and a row for each slot: who has it, how long, what happens next, and what is used of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ds01.api.seeing.server_view import ServerGpu, ServerSlot, ServerView, SlotSupply
from ds01.api.types import NEXT_ACTIONS
from ds01.pages.charts.bars import percent_bar
from ds01.pages.markup import Content, Element, element, untrusted
from ds01.pages.tables import card_table
from ds01.pages.texts import UNKNOWN, duration, moment, percent_text, short_model, size_text


def supply_section(view: ServerView) -> Element:
    """Return what is free of each kind, and when the next one comes free."""
    if view.supply:
        content: Content = element("div", (_supply(item, view.at) for item in view.supply), class_="tiles")
    else:
        content = element("p", "This server has no GPU." if view.driver is not None else "The GPUs are unknown.")
    return element("section", element("h2", "Free now"), content)


def _supply(item: SlotSupply, now: datetime) -> Element:
    below: Content = None
    if not item.free:
        below = ["next ", moment(item.earliest, now)] if item.earliest is not None else "next: unknown"
    return element(
        "div",
        element("p", _kind(item), class_="muted"),
        element("strong", f"{item.free} of {item.total}", class_="good" if item.free else None),
        element("p", below, class_="muted") if below is not None else None,
        class_="tile",
    )


def _kind(slot: ServerSlot | SlotSupply) -> str:
    return slot.profile or short_model(slot.model) or slot.kind.value


def slots_section(view: ServerView) -> Element | None:
    """Return the table of the slots."""
    if not view.slots:
        return None
    headings = ("GPU", "Who", "Held for", "Idle for", "Next", "Use now", "Memory")
    table = card_table(headings, (_row(slot, view.at) for slot in view.slots))
    return element("section", element("h2", "GPUs"), table)


def _row(slot: ServerSlot, now: datetime) -> tuple[Content, ...]:
    leased = slot.container is not None or slot.state in ("leased", "held")
    return (
        (
            f"{slot.slot} ",
            element("small", slot.profile or short_model(slot.model) or slot.kind.value, class_="nowrap"),
        ),
        tuple(_who(slot)),
        duration(now - slot.since) if slot.since is not None and leased else None,
        _idle(slot, now),
        _next(slot, now),
        (percent_bar(slot.utilisation_percent), percent_text(slot.utilisation_percent), _used(slot)),
        (percent_bar(_memory_percent(slot)), _memory_text(slot)),
    )


def _who(slot: ServerSlot) -> Iterator[Content]:
    if slot.state == "free":
        yield element("strong", "free", class_="good")
    elif slot.state in ("leased", "held"):
        yield untrusted(slot.user) if slot.user is not None else "in use"
        if slot.name is not None:
            yield element("small", untrusted(slot.name))
        if slot.state == "held":
            yield element("small", "stopped, GPU held")
    elif slot.state == "reserved":
        yield "reserved"
        if slot.user is not None:
            yield (" for ", untrusted(slot.user))
    elif slot.state == "busy_outside":
        yield "used outside ds01"
    else:
        yield element("span", slot.state, class_="alert")
    if slot.why is not None and slot.state != "reserved":
        yield element("small", untrusted(slot.why), class_="alert" if slot.lost else None)


def _idle(slot: ServerSlot, now: datetime) -> Content:
    if slot.idle_since is not None:
        return duration(now - slot.idle_since)
    return slot.activity  # active or unknown; None without a running container


def _next(slot: ServerSlot, now: datetime) -> Content:
    if slot.deadline is not None:
        what = NEXT_ACTIONS.get(slot.deadline.because, slot.deadline.because)
        return (f"{what} ", moment(slot.deadline.at, now))
    return None if slot.until is None else ("free at ", moment(slot.until, now))


def _used(slot: ServerSlot) -> Content:
    if slot.used_percent is None:
        return None
    return element("small", f"{percent_text(slot.used_percent)} in the mean")


def _memory_percent(slot: ServerSlot) -> float | None:
    if slot.memory_used_bytes is None or not slot.memory_bytes:
        return None
    return slot.memory_used_bytes / slot.memory_bytes * 100


def _memory_text(slot: ServerSlot) -> str:
    if slot.memory_used_bytes is None:
        return UNKNOWN if slot.memory_bytes is None else f"{UNKNOWN} of {size_text(slot.memory_bytes)}"
    return f"{size_text(slot.memory_used_bytes)} of {size_text(slot.memory_bytes)}"


def hardware_section(view: ServerView) -> Element | None:
    """Return the physical GPUs with temperature and power."""
    if not view.gpus:
        return None
    table = card_table(("GPU", "Model", "Temperature", "Power", "Health"), map(_gpu_row, view.gpus))
    return element("section", element("h2", "Hardware"), table)


def _gpu_row(gpu: ServerGpu) -> tuple[Content, ...]:
    return (
        str(gpu.index),
        short_model(gpu.model),
        UNKNOWN if gpu.temperature_celsius is None else f"{gpu.temperature_celsius:.0f} °C",
        UNKNOWN if gpu.power_watts is None else f"{gpu.power_watts:.0f} W",
        "good" if gpu.unhealthy is None else element("span", gpu.unhealthy, class_="alert"),
    )
