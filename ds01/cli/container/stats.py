"""container-stats"""

from __future__ import annotations

import click

from ds01.api.answers import SlotUsage, UsageView
from ds01.api.listing import ListContainers
from ds01.api.measures import GetUsage
from ds01.api.views import SlotView
from ds01.cli.command.definition import BoundedInteger
from ds01.cli.command.definition import command as verb
from ds01.cli.command.guide import explain
from ds01.cli.container.steps.usage_advice import describe_advice
from ds01.cli.session import Session
from ds01.cli.ui import tables
from ds01.cli.ui.formats import format_gpus, format_size
from ds01.cli.ui.output import clear_screen
from ds01.cli.ui.refresh import DEFAULT_INTERVAL, check_watch, repeat_until_interrupted


@verb(example="container-stats my-thesis")
@click.argument("name", required=False)
@click.option("-w", "--watch", is_flag=True, help="Refresh until Ctrl-C (exit code 130).")
@click.option(
    "--interval", type=BoundedInteger(1, 3600), metavar="S", help="With --watch: seconds between refreshes. Default: 2."
)
def command(session: Session, name: str | None, watch: bool, interval: int | None) -> int:
    """Show what running containers use, with their limits: CPU, memory, disk, network, and each of their GPUs.

    Rates are bytes per second. A dash is unknown: a MIG instance without a counter, or the host's network.
    """
    check_watch(watch=watch, interval=interval, as_json=session.as_json)
    explain(session, "stats")

    def show_usage() -> None:
        usage = session.run(GetUsage(_select_containers(session, name)))
        session.write_document({"containers": usage})
        if not session.as_json:
            if watch:
                clear_screen()
            _show(session, usage)

    if watch:
        return repeat_until_interrupted(show_usage, interval=interval or DEFAULT_INTERVAL)
    show_usage()
    return 0


def _select_containers(session: Session, name: str | None) -> tuple[str, ...]:
    if name is not None:
        return (session.resolve_container(name, states=("running",), verb="stats"),)
    views = session.run(ListContainers(owner=session.owner.uid)).containers
    return tuple(view.container for view in views if view.state == "running")


def _show(session: Session, usage: tuple[UsageView, ...]) -> None:
    """Print a row for each container, and below one for each of their slots; both fit 80 columns."""
    if not usage:
        session.say("You have no running containers.")
        return
    headings = ("NAME", "CPU", "MEMORY", "PROCESSES", "READ/S", "WRITE/S", "NET/S")
    tables.print_table(headings, [_row(item) for item in usage], cut="NAME")
    slots = [
        _slot_row(item, slot, used) for item in usage for slot, used in zip(item.gpus, item.gpu_usage, strict=True)
    ]
    if slots:
        session.say()
        tables.print_table(("NAME", "GPU", "BUSY", "GPU MEMORY", "GPU PROCS"), slots, cut="NAME")
    for item in usage:
        advice = None if item.advice is None else describe_advice(item.name, item.advice, release=True)
        if advice is not None:
            session.say(advice)


def _row(item: UsageView) -> tuple[str, ...]:
    """Return the use of a container: use/limit, and bytes per second."""
    return (
        item.name,
        _percent(item.cpu_percent) + ("" if item.cpus is None else f"/{item.cpus * 100:.0f}%"),
        f"{format_size(item.memory_bytes)}/{format_size(item.memory_limit_bytes)}",
        _count(item.pids) + ("" if item.pids_limit is None else f"/{item.pids_limit}"),
        _rate(item.io_read_bytes_per_second),
        _rate(item.io_write_bytes_per_second),
        _rate(item.network_bytes_per_second),
    )


def _slot_row(item: UsageView, slot: SlotView, used: SlotUsage) -> tuple[str, ...]:
    """Return the use of a slot; the processes are the container's own."""
    memory = f"{format_size(used.memory_used_bytes)}/{format_size(used.memory_bytes)}"
    return (item.name, format_gpus([slot]), _percent(used.utilisation_percent), memory, _count(used.processes))


def _rate(value: float | None) -> str:
    return format_size(None if value is None else round(value))


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}%"


def _count(value: int | None) -> str:
    return "–" if value is None else str(value)
