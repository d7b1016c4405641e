"""The GPUs as a tree: each with its MIG instances, or with its lease."""

from __future__ import annotations

from collections.abc import Sequence

from ds01.api.seeing.server_view import ServerGpu, ServerSlot
from ds01.cli.dashboard.sample import Sample
from ds01.cli.dashboard.screen import BOLD, DIM, RED, clean
from ds01.cli.dashboard.table import EMPTY, Cell, Column, Table
from ds01.cli.dashboard.views.cells import (
    NOTHING,
    STATE_STYLES,
    UNKNOWN_TEXT,
    amount,
    bar_cell,
    holder_text,
    next_cell,
    since_cell,
    size_text,
    use_style,
)
from ds01.cli.ui.bars import percent_text
from ds01.cli.ui.formats import format_count, format_local_time
from ds01.gpus.model import slot_sort_key

GpuLine = ServerGpu | ServerSlot
STATE_WORDS = {"busy_outside": "used outside ds01"}
FULL_AMOUNT = 9  # columns from which memory is shown with its size: `12g/40g`


def _items(sample: Sample, is_sorted: bool) -> Sequence[GpuLine]:
    """Return each GPU before its slots; only the slots if they are sorted by a column."""
    view = sample.view
    if view is None:
        return ()
    if is_sorted:
        return view.slots
    items: list[GpuLine] = []
    gpus = {gpu.index: gpu for gpu in view.gpus}
    for slot in view.slots:
        if (gpu := gpus.pop(slot.gpu, None)) is not None:
            items.append(gpu)
        items.append(slot)
    return [*items, *gpus.values()]


def identity_of(item: GpuLine) -> str:
    """Return the identity of the GPU or slot in a row, by which the selection follows it."""
    return f"gpu {item.uuid}" if isinstance(item, ServerGpu) else f"slot {item.uuid}"


def _search(item: GpuLine) -> str:
    if isinstance(item, ServerGpu):
        return f"{item.index} {item.model}"
    words = (item.slot, item.profile, item.model, item.user, item.name, item.state, item.why)
    return " ".join(word for word in words if word)


def _slot(item: GpuLine, sample: Sample, width: int) -> Cell:
    if isinstance(item, ServerGpu):
        return Cell(str(item.index), BOLD)
    return Cell(f"└{item.slot}")


def _kind(item: GpuLine, sample: Sample, width: int) -> Cell:
    if isinstance(item, ServerGpu):
        return _gpu_summary(item, sample)
    return Cell(item.profile or "whole", DIM)


def _owner(item: GpuLine, sample: Sample, width: int) -> Cell:
    if isinstance(item, ServerGpu):
        return EMPTY
    style = STATE_STYLES.get(item.state, 0)
    if item.lost:
        return Cell(f"{holder_text(item.user, item.name)}, lost: {clean(item.why or '')}", RED)
    if item.state in ("leased", "held"):
        return Cell(holder_text(item.user, item.name), style)
    words = STATE_WORDS.get(item.state, item.state)
    if item.state == "reserved":
        words = f"reserved for {clean(item.user or UNKNOWN_TEXT)}"
        if item.until is not None and sample.view is not None:
            words += f" until {format_local_time(item.until, sample.view.at)}"
    elif item.why:
        words += f": {clean(item.why)}"
    return Cell(words, style)


def _gpu_summary(gpu: ServerGpu, sample: Sample) -> Cell:
    """Return model, temperature, power and free instances, which extend over the columns of leases."""
    model = clean(gpu.model.removeprefix("NVIDIA "))
    if gpu.unhealthy:
        return Cell(f"{model}, {clean(gpu.unhealthy)}", RED)
    slots = [slot for slot in sample.view.slots if slot.gpu == gpu.index and not slot.lost] if sample.view else []
    temperature = UNKNOWN_TEXT if gpu.temperature_celsius is None else f"{gpu.temperature_celsius:.0f}"
    power = UNKNOWN_TEXT if gpu.power_watts is None else f"{gpu.power_watts:.0f}"
    parts = [model, f"{temperature}°C", f"{power}W"]
    if not slots:
        parts.append("no instances")
    elif len(slots) > 1:
        free = sum(slot.state == "free" for slot in slots)
        parts.append(f"{free} of {format_count(len(slots), 'instance')} free")
    return Cell(", ".join(parts), BOLD)


def _held(item: GpuLine, sample: Sample, width: int) -> Cell:
    if isinstance(item, ServerGpu):
        return EMPTY
    return EMPTY if _is_vacant(item) or sample.view is None else since_cell(item.since, sample.view.at, width)


def _idle(item: GpuLine, sample: Sample, width: int) -> Cell:
    if isinstance(item, ServerGpu) or _is_vacant(item) or sample.view is None:
        return EMPTY
    if item.state == "held":
        return Cell("held", STATE_STYLES["held"])  # stopped, and its GPU is kept for it
    if item.activity == "unknown":
        return Cell(UNKNOWN_TEXT, DIM)
    return since_cell(item.idle_since, sample.view.at, width, STATE_STYLES["held"])


def _next(item: GpuLine, sample: Sample, width: int) -> Cell:
    if isinstance(item, ServerGpu) or _is_vacant(item) or sample.view is None:
        return EMPTY
    return next_cell(item.deadline, sample.view.at, width)


def _used(item: GpuLine, sample: Sample, width: int) -> Cell:
    if isinstance(item, ServerGpu) or _is_vacant(item):
        return EMPTY
    return Cell(percent_text(item.used_percent), use_style(item.used_percent))


def _use(item: GpuLine, sample: Sample, width: int) -> Cell:
    return bar_cell(item.utilisation_percent, width, use_style(item.utilisation_percent) if _is_busy(item) else DIM)


def _memory(item: GpuLine, sample: Sample, width: int) -> Cell:
    if width < FULL_AMOUNT:
        return Cell(size_text(item.memory_used_bytes))
    return Cell(amount(item.memory_used_bytes, item.memory_bytes))


def _processes(item: GpuLine, sample: Sample, width: int) -> Cell:
    if isinstance(item, ServerGpu):
        return EMPTY
    if item.processes is None:
        return Cell(UNKNOWN_TEXT, DIM)
    return Cell(str(len(item.processes))) if item.processes else NOTHING


def _curve(item: GpuLine, sample: Sample, width: int) -> Cell:
    return Cell(sample.history.curve(identity_of(item), sample.now, width))


def _is_vacant(slot: ServerSlot) -> bool:
    return slot.state not in ("leased", "held")


def _is_busy(item: GpuLine) -> bool:
    return isinstance(item, ServerGpu) or not _is_vacant(item)


def _number(item: GpuLine) -> tuple[int, ...]:
    return (item.index,) if isinstance(item, ServerGpu) else slot_sort_key(item.slot)


def _order_duration(item: GpuLine, name: str) -> float | None:
    """Return what durations since a time are sorted by."""
    since = getattr(item, name, None)
    return None if since is None or (isinstance(item, ServerSlot) and _is_vacant(item)) else -since.timestamp()


def _order_next(item: GpuLine) -> float | None:
    deadline = getattr(item, "deadline", None)
    return None if deadline is None else deadline.at.timestamp()


TABLE: Table[GpuLine] = Table(
    columns=(
        Column("gpu", "GPU", 5, 0, _slot, _number),
        Column("kind", "KIND", 8, 3, _kind, lambda item: getattr(item, "profile", None) or item.model, most=10),
        Column("who", "WHO", 14, 1, _owner, lambda item: getattr(item, "user", None), most=30),
        Column(
            "held", "HELD", 4, 5, _held, lambda item: _order_duration(item, "since"), most=6, right=True, falling=True
        ),
        Column(
            "idle", "IDLE", 4, 4, _idle, lambda item: _order_duration(item, "idle_since"), most=6, right=True,
            falling=True,
        ),
        Column("next", "NEXT", 13, 6, _next, _order_next, most=17),
        Column("used", "USED", 4, 7, _used, lambda item: getattr(item, "used_percent", None), right=True),
        Column("now", "NOW", 8, 2, _use, lambda item: item.utilisation_percent, most=15, falling=True),
        Column("memory", "MEM", 6, 8, _memory, lambda item: item.memory_used_bytes, most=11, right=True, falling=True),
        Column("hour", "HOUR", 5, 9, _curve, lambda item: item.utilisation_percent, most=30, falling=True),
        Column(
            "processes", "PROCS", 5, 10, _processes, lambda item: len(getattr(item, "processes", None) or ()),
            right=True, falling=True,
        ),
    ),
    items=_items,
    identity=identity_of,
    search=_search,
    container=lambda item: getattr(item, "container", None),
    user=lambda item: getattr(item, "user", None),
    empty="no GPU",
)  # fmt: skip
