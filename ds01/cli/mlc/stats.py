"""mlc-stats"""

from __future__ import annotations

import click

from ds01.api.answers import UsageView
from ds01.api.listing import ListContainers
from ds01.api.measures import GetUsage
from ds01.cli.command.definition import command as verb
from ds01.cli.container.steps.adoptable import report_adoptable
from ds01.cli.mlc.command_line import AimeCommand
from ds01.cli.mlc.docker_format import docker_size
from ds01.cli.session import Session
from ds01.cli.ui import tables
from ds01.cli.ui.output import clear_screen
from ds01.cli.ui.refresh import repeat_until_interrupted
from ds01.errors import UsageError

HEADINGS = ("CONTAINER", "CPU %", "MEM USAGE / LIMIT", "MEM %", "PROCESSES")


@verb(example="mlc-stats", guided=False, kind=AimeCommand)
@click.option("-s", "--stream", is_flag=True, help="Refresh until Ctrl-C (exit code 130).")
def command(session: Session, stream: bool) -> int:
    """Show the use of your running containers, in AIME's columns. container-stats shows limits and GPUs too."""
    if stream and session.as_json:
        raise UsageError(
            "--stream cannot be combined with --json", hint="--json prints one document; run it repeatedly"
        )

    def show_usage() -> None:
        listing = session.run(ListContainers(owner=session.owner.uid))
        running = tuple(view.container for view in listing.containers if view.state == "running")
        usage = session.run(GetUsage(running))
        session.write_document({"containers": usage})
        if not session.as_json:
            if stream:
                clear_screen()
            session.say("\nRunning ml-containers are:\n")
            tables.print_table(HEADINGS, [_row(item) for item in usage])
            session.say()
            report_adoptable(session, listing, "more")

    if stream:
        return repeat_until_interrupted(show_usage)
    show_usage()
    return 0


def _row(item: UsageView) -> tuple[str, ...]:
    used, limit = item.memory_bytes, item.memory_limit_bytes
    return (
        f"[{item.name}]",
        "–" if item.cpu_percent is None else f"{item.cpu_percent:.2f}%",
        f"{docker_size(used)} / {docker_size(limit)}",
        f"{used / limit * 100:.2f}%" if used is not None and limit else "–",
        "–" if item.pids is None else str(item.pids),
    )
