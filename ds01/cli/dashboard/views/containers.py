"""The containers: state, GPUs, use against limits, and what happens next."""

from __future__ import annotations

from collections.abc import Sequence

from ds01.api.seeing.server_view import ServerContainer
from ds01.cli.dashboard.sample import Sample
from ds01.cli.dashboard.screen import DIM, PLAIN, RED, YELLOW, clean
from ds01.cli.dashboard.table import EMPTY, Cell, Column, Table
from ds01.cli.dashboard.views.cells import (
    NOTHING,
    STATE_STYLES,
    UNKNOWN_TEXT,
    amount,
    limit_bar_cell,
    next_cell,
    since_cell,
    size_text,
)
from ds01.cli.ui.bars import percent_text
from ds01.gpus.slot_names import display_name

FULL_AMOUNT = 14  # columns from which memory is shown with its limit


def _items(sample: Sample, is_sorted: bool) -> Sequence[ServerContainer]:
    return sample.view.containers if sample.view is not None else ()


def _search(item: ServerContainer) -> str:
    view = item.container
    words = (view.name, view.user, item.group, view.state, view.image, view.project, _state_text(item))
    return " ".join(word for word in words if word)


def _state_text(item: ServerContainer) -> str:
    view = item.container
    if view.is_manual:
        return "by hand"
    return "paused" if view.paused else view.state


def _user(item: ServerContainer, sample: Sample, width: int) -> Cell:
    return Cell(clean(item.container.user or UNKNOWN_TEXT))


def _name(item: ServerContainer, sample: Sample, width: int) -> Cell:
    return Cell(clean(item.container.name), RED if item.container.conflict else PLAIN)


def _state(item: ServerContainer, sample: Sample, width: int) -> Cell:
    return Cell(_state_text(item), STATE_STYLES.get(item.container.state, PLAIN))


def _gpus(item: ServerContainer, sample: Sample, width: int) -> Cell:
    view = item.container
    if view.gpus:
        return Cell(",".join(map(display_name, view.gpus)))
    return Cell(f"({','.join(map(display_name, view.gpus_fixed))})", DIM) if view.gpus_fixed else NOTHING


def _cpu(item: ServerContainer, sample: Sample, width: int) -> Cell:
    if not _is_running(item):
        return EMPTY
    used = None if item.cpu_percent is None else item.cpu_percent / 100
    return limit_bar_cell(used, item.cpus, f"{percent_text(item.cpu_percent):>5}", width)


def _memory(item: ServerContainer, sample: Sample, width: int) -> Cell:
    if not _is_running(item):
        return EMPTY
    if width < FULL_AMOUNT:
        text = f"{size_text(item.memory_bytes):>6}"
    else:
        text = f"{amount(item.memory_bytes, item.memory_limit_bytes):>11}"
    return limit_bar_cell(item.memory_bytes, item.memory_limit_bytes, text, width)


def _idle(item: ServerContainer, sample: Sample, width: int) -> Cell:
    if not _is_running(item) or sample.view is None:
        return EMPTY
    if item.activity == "unknown":
        return Cell(UNKNOWN_TEXT, DIM)
    return since_cell(item.container.idle_since, sample.view.at, width, YELLOW)


def _next(item: ServerContainer, sample: Sample, width: int) -> Cell:
    if sample.view is None:
        return EMPTY
    if item.container.kept_alive:
        return Cell(".keep-alive")
    return next_cell(item.container.deadline, sample.view.at, width)


def _ended(item: ServerContainer, sample: Sample, width: int) -> Cell:
    if item.container.conflict:
        return Cell(clean(item.container.conflict), RED)
    if item.container.ended is not None and not _is_running(item):
        return Cell(clean(item.container.ended.why), DIM)
    return EMPTY


def _processes(item: ServerContainer, sample: Sample, width: int) -> Cell:
    if not _is_running(item):
        return EMPTY
    limit = "" if item.pids_limit is None else f"/{item.pids_limit}"
    return Cell(f"{UNKNOWN_TEXT if item.pids is None else item.pids}{limit}")


def _image(item: ServerContainer, sample: Sample, width: int) -> Cell:
    return NOTHING if item.container.image is None else Cell(clean(item.container.image), DIM)


def _is_running(item: ServerContainer) -> bool:
    return item.container.state == "running" and not item.container.is_manual


def _order_idle(item: ServerContainer) -> float | None:
    since = item.container.idle_since
    return None if since is None else -since.timestamp()


def _order_next(item: ServerContainer) -> float | None:
    return None if item.container.deadline is None else item.container.deadline.at.timestamp()


def _order_ended(item: ServerContainer) -> str | None:
    return item.container.ended.why if item.container.ended is not None else None


TABLE: Table[ServerContainer] = Table(
    columns=(
        Column("name", "NAME", 10, 0, _name, lambda item: item.container.name, most=24),
        Column("user", "USER", 8, 1, _user, lambda item: item.container.user, most=14),
        Column("state", "STATE", 8, 2, _state, _state_text),
        Column("gpus", "GPU", 5, 3, _gpus, lambda item: len(item.container.gpus), most=12, falling=True),
        Column("cpu", "CPU", 9, 4, _cpu, lambda item: item.cpu_percent, most=14, falling=True),
        Column("memory", "MEMORY", 10, 5, _memory, lambda item: item.memory_bytes, most=20, falling=True),
        Column("idle", "IDLE", 4, 6, _idle, _order_idle, most=6, right=True, falling=True),
        Column("next", "NEXT", 13, 7, _next, _order_next, most=17),
        Column("ended", "WHY IT ENDED", 16, 8, _ended, _order_ended, most=44),
        Column("pids", "PROCESSES", 9, 9, _processes, lambda item: item.pids, right=True, falling=True),
        Column("image", "IMAGE", 12, 10, _image, lambda item: item.container.image, most=40),
    ),
    items=_items,
    identity=lambda item: item.container.container,
    search=_search,
    container=lambda item: item.container.container,
    user=lambda item: item.container.user,
    empty="no containers",
)
