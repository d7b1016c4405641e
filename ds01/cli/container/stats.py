"""container-stats"""

from __future__ import annotations

import click

from ds01.api.containers import GetUsage, ListContainers
from ds01.api.views import UsageView
from ds01.cli import tables
from ds01.cli.guide import explain
from ds01.cli.options import Whole
from ds01.cli.options import command as verb
from ds01.cli.output import clear_screen
from ds01.cli.session import Session
from ds01.cli.watching import INTERVAL, again_and_again
from ds01.cli.words import gpu_names, size
from ds01.errors import WrongUse


@verb(example="container-stats my-thesis")
@click.argument("name", required=False)
@click.option("-w", "--watch", is_flag=True, help="Again and again, until Ctrl-C (exit code 130).")
@click.option(
    "--interval", type=Whole(1, 3600), metavar="S", help="With --watch: seconds between two looks. Default: 2."
)
def command(session: Session, name: str | None, watch: bool, interval: int | None) -> int:
    """Show what running containers use of CPU, memory and their GPUs, against their limits."""
    if watch and session.as_json:
        raise WrongUse("--watch and --json at once", hint="`--json` prints one document: ask again and again")
    if interval is not None and not watch:
        raise WrongUse(
            "--interval without --watch", why="one look has nothing to wait for", hint="`--watch --interval 5`"
        )
    explain(session, "stats")

    def look() -> None:
        usage = session.run(GetUsage(_meant(session, name)))
        session.answer({"containers": usage})
        if not session.as_json:
            if watch:
                clear_screen()
            _show(session, usage)

    if watch:
        return again_and_again(look, every=interval or INTERVAL)
    look()
    return 0


def _meant(session: Session, name: str | None) -> tuple[str, ...]:
    if name is not None:
        return (session.find(name, states=("running",), verb="stats"),)
    views = session.run(ListContainers(owner=session.owner.uid)).containers
    return tuple(view.container for view in views if view.state == "running")


def _show(session: Session, usage: tuple[UsageView, ...]) -> None:
    if not usage:
        session.say("No container of yours runs.")
        return
    headings = ("NAME", "CPU", "MEMORY", "PROCESSES", "GPU", "BUSY", "GPU MEMORY", "GPU PROCS")
    tables.show(headings, [_row(item) for item in usage])


def _row(item: UsageView) -> tuple[str, ...]:
    """What is used, `/` the limit; for several GPUs a line each. `GPU PROCS` are the container's own."""
    return (
        item.name,
        _percent(item.cpu_percent) + ("" if item.cpus is None else f"/{item.cpus * 100:.0f}%"),
        f"{size(item.memory_bytes)}/{size(item.memory_limit_bytes)}",
        _count(item.pids) + ("" if item.pids_limit is None else f"/{item.pids_limit}"),
        tables.lines(gpu_names([slot]) for slot in item.gpus),
        tables.lines(_percent(slot.utilisation_percent) for slot in item.gpu_usage),
        tables.lines(f"{size(slot.memory_used_bytes)}/{size(slot.memory_bytes)}" for slot in item.gpu_usage),
        tables.lines(_count(slot.processes) for slot in item.gpu_usage),
    )


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}%"


def _count(value: int | None) -> str:
    return "–" if value is None else str(value)
