"""ds01 tick"""

from __future__ import annotations

import dataclasses

import click

from ds01.cli.command.definition import command as verb
from ds01.cli.command.privileges import require_root
from ds01.cli.session import Session
from ds01.host.commands.tick import run_tick
from ds01.system.data import format_time


@verb(example="ds01 tick --dry-run", guided=False, user=False, pending=False)
@click.option("--dry-run", is_flag=True, help="Show what would be done, and change nothing.")
def command(session: Session, dry_run: bool) -> int:
    """Run one pass of the automation; root's cron does it every few minutes.

    It updates the records from Docker, warns owners, stops containers that are idle or have run too long,
    ends holds, and removes long-stopped containers. Exit code 1 if anything could not be judged or done.
    """
    require_root(session, "everybody's containers")
    session.announce_simulation()
    report = run_tick(session.installation, dry_run=dry_run)
    if report is None:
        session.say("Another tick is running.")
        nothing: dict[str, list[str]] = {key: [] for key in ("acted", "warned", "unknown", "errors")}
        session.write_document({"started_at": None, "seconds": 0, "looked_at": 0} | nothing)
        return 0
    session.write_document(dataclasses.asdict(report))
    for title, items in (
        ("acted", report.acted), ("warned", report.warned), ("unknown", report.unknown), ("errors", report.errors),
    ):  # fmt: skip
        for item in items:
            session.say(f"{title:8} {item.container or '–'}: {item.action}, {item.why}")
    summary = f"{'would look' if dry_run else 'looked'} at {report.looked_at}, in {report.seconds:.2f} s"
    session.say(f"{format_time(report.started_at)} {summary}")  # cron keeps this in tick.log
    return 0 if report.complete else 1
