"""container-stats"""

from __future__ import annotations

import click

from ds01.api.answers import UsageView
from ds01.api.listing import ListContainers
from ds01.api.measures import GetUsage
from ds01.cli.command.definition import BoundedInteger
from ds01.cli.command.definition import command as verb
from ds01.cli.command.guide import explain
from ds01.cli.session import Session
from ds01.cli.ui import tables
from ds01.cli.ui.formats import format_gpus, format_size
from ds01.cli.ui.output import clear_screen
from ds01.cli.ui.refresh import DEFAULT_INTERVAL, repeat_until_interrupted
from ds01.errors import UsageError


@verb(example="container-stats my-thesis")
@click.argument("name", required=False)
@click.option("-w", "--watch", is_flag=True, help="Refresh until Ctrl-C (exit code 130).")
@click.option(
    "--interval", type=BoundedInteger(1, 3600), metavar="S", help="With --watch: seconds between refreshes. Default: 2."
)
def command(session: Session, name: str | None, watch: bool, interval: int | None) -> int:
    """Show the CPU, memory and GPU use of running containers, with their limits."""
    if watch and session.as_json:
        raise UsageError(
            "--watch cannot be combined with --json", hint="`--json` prints one document; run it repeatedly"
        )
    if interval is not None and not watch:
        raise UsageError(
            "--interval needs --watch", why="a single output has no interval", hint="`--watch --interval 5`"
        )
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
    if not usage:
        session.say("You have no running containers.")
        return
    headings = ("NAME", "CPU", "MEMORY", "PROCESSES", "GPU", "BUSY", "GPU MEMORY", "GPU PROCS")
    tables.print_table(headings, [_row(item) for item in usage])


def _row(item: UsageView) -> tuple[str, ...]:
    """Return a row: use/limit, with one line per GPU. `GPU PROCS` counts the container's own processes."""
    return (
        item.name,
        _percent(item.cpu_percent) + ("" if item.cpus is None else f"/{item.cpus * 100:.0f}%"),
        f"{format_size(item.memory_bytes)}/{format_size(item.memory_limit_bytes)}",
        _count(item.pids) + ("" if item.pids_limit is None else f"/{item.pids_limit}"),
        tables.multiline_cell(format_gpus([slot]) for slot in item.gpus),
        tables.multiline_cell(_percent(slot.utilisation_percent) for slot in item.gpu_usage),
        tables.multiline_cell(
            f"{format_size(slot.memory_used_bytes)}/{format_size(slot.memory_bytes)}" for slot in item.gpu_usage
        ),
        tables.multiline_cell(_count(slot.processes) for slot in item.gpu_usage),
    )


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}%"


def _count(value: int | None) -> str:
    return "–" if value is None else str(value)
