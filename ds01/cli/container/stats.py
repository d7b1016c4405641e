"""container-stats"""

from __future__ import annotations

import gc
import time

import click

from ds01.cli import tables
from ds01.cli.guide import explain
from ds01.cli.options import command as verb
from ds01.cli.session import Session
from ds01.cli.words import gpu_names, size
from ds01.errors import WrongUse
from ds01.lifecycle.views import UsageView


@verb(example="container-stats my-thesis")
@click.argument("name", required=False)
@click.option("-w", "--watch", is_flag=True, help="Again and again, until Ctrl-C.")
@click.option("--interval", type=click.IntRange(1, 3600), default=2, metavar="S", help="Seconds between two looks.")
def command(session: Session, name: str | None, watch: bool, interval: int) -> None:
    """Show what running containers use of CPU and memory, against their limits."""
    if watch and session.as_json:
        raise WrongUse("--watch and --json at once", hint="--json prints one document: ask again and again")
    explain(session, "stats")
    if watch:
        gc.enable()  # this may take days
    while True:
        usage = session.gate.usage(session.actor, _meant(session, name))
        session.answer({"containers": usage})
        if not session.as_json:
            if watch:
                click.clear()
            _show(session, usage)
        if not watch:
            return
        time.sleep(interval)


def _meant(session: Session, name: str | None) -> tuple[str, ...]:
    if name is not None:
        return (session.find(name, states=("running",), verb="stats"),)
    views = session.gate.containers(session.actor, owner=session.owner.uid)
    return tuple(view.container for view in views if view.state == "running")


def _show(session: Session, usage: tuple[UsageView, ...]) -> None:
    if not usage:
        session.say("No container of yours runs.")
        return
    rows = [
        (
            item.name,
            "–" if item.cpu_percent is None else f"{item.cpu_percent:.0f}%",
            "–" if item.cpus is None else f"{item.cpus * 100:.0f}%",
            size(item.memory_bytes),
            size(item.memory_limit_bytes),
            "–" if item.pids is None else str(item.pids),
            gpu_names(item.gpus) or "–",
        )
        for item in usage
    ]
    tables.show(("NAME", "CPU", "OF", "MEMORY", "OF", "PROCESSES", "GPU"), rows)
