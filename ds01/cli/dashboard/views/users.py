"""Groups with their users: quotas, and what is used of them."""

from __future__ import annotations

from collections.abc import Sequence

from ds01.api.seeing.server_view import ServerGroup, ServerUser
from ds01.cli.dashboard.sample import Sample
from ds01.cli.dashboard.screen import BOLD, CYAN, PLAIN, clean
from ds01.cli.dashboard.table import EMPTY, Cell, Column, Table
from ds01.cli.dashboard.views.cells import limit_bar_cell, size_text
from ds01.cli.ui.bars import percent_text
from ds01.cli.ui.formats import format_count

UserLine = ServerGroup | ServerUser


def _items(sample: Sample, is_sorted: bool) -> Sequence[UserLine]:
    """Return each group before its users; only the users if they are sorted by a column."""
    view = sample.view
    if view is None:
        return ()
    if is_sorted:
        return view.users
    items: list[UserLine] = []
    for group in view.groups:
        items += [group, *(user for user in view.users if user.group == group.group)]
    return items


def _identity(item: UserLine) -> str:
    return f"group {item.group}" if isinstance(item, ServerGroup) else f"user {item.uid}"


def _name(item: UserLine, sample: Sample, width: int) -> Cell:
    if isinstance(item, ServerGroup):
        return Cell(f"{clean(item.group)}, {format_count(item.users, 'user')}", BOLD)
    return Cell(f"└{clean(item.user)}")


def _group(item: UserLine, sample: Sample, width: int) -> Cell:
    return EMPTY if isinstance(item, ServerGroup) else Cell(clean(item.group))


def _gpus(item: UserLine, sample: Sample, width: int) -> Cell:
    if isinstance(item, ServerGroup):
        return Cell(f"{item.gpus:>{width}}", BOLD)
    return _of_quota(item.gpus, item.gpus_limit, width)


def _containers(item: UserLine, sample: Sample, width: int) -> Cell:
    if isinstance(item, ServerGroup):
        return Cell(f"{item.containers:>{width}}", BOLD)
    return _of_quota(item.containers, item.containers_limit, width)


def _of_quota(used: int, limit: int | None, width: int) -> Cell:
    text = f"{used}/{'∞' if limit is None else limit}"
    cell = limit_bar_cell(used, limit, f"{text:>5}", width)
    return Cell(cell.text)  # a quota that is used up is nothing bad


def _running(item: UserLine, sample: Sample, width: int) -> Cell:
    return Cell(str(item.running), _style(item))


def _cpu(item: UserLine, sample: Sample, width: int) -> Cell:
    return Cell(percent_text(item.cpu_percent), _style(item))


def _memory(item: UserLine, sample: Sample, width: int) -> Cell:
    return Cell(size_text(item.memory_bytes), _style(item))


def _waiting(item: UserLine, sample: Sample, width: int) -> Cell:
    return Cell(str(item.waiting), CYAN) if isinstance(item, ServerUser) and item.waiting else EMPTY


def _priority(item: UserLine, sample: Sample, width: int) -> Cell:
    return Cell(str(item.priority)) if isinstance(item, ServerUser) else EMPTY


def _style(item: UserLine) -> int:
    return BOLD if isinstance(item, ServerGroup) else PLAIN


TABLE: Table[UserLine] = Table(
    columns=(
        Column("user", "USER", 16, 0, _name, lambda item: getattr(item, "user", item.group), most=30),
        Column("group", "GROUP", 10, 6, _group, lambda item: item.group, most=20),
        Column("gpus", "GPUS", 10, 1, _gpus, lambda item: item.gpus, most=16, falling=True),
        Column("containers", "CONTAINERS", 10, 2, _containers, lambda item: item.containers, most=16, falling=True),
        Column("running", "RUN", 4, 3, _running, lambda item: item.running, right=True, falling=True),
        Column("cpu", "CPU", 6, 4, _cpu, lambda item: item.cpu_percent, right=True, falling=True),
        Column("memory", "MEMORY", 7, 5, _memory, lambda item: item.memory_bytes, right=True, falling=True),
        Column("waiting", "WAIT", 4, 7, _waiting, lambda item: getattr(item, "waiting", 0), right=True, falling=True),
        Column(
            "priority", "PRIO", 4, 8, _priority, lambda item: getattr(item, "priority", 0), right=True, falling=True
        ),
    ),
    items=_items,
    identity=_identity,
    search=lambda item: f"{getattr(item, 'user', '')} {item.group}",
    container=lambda item: None,
    user=lambda item: getattr(item, "user", None),
    empty="nobody has a container or waits",
)
