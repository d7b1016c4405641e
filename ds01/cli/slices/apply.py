"""ds01 slices apply"""

from __future__ import annotations

from collections.abc import Iterable

import click

from ds01.cli.command.definition import command as verb
from ds01.cli.command.privileges import require_real_server, require_root
from ds01.cli.session import Session
from ds01.cli.ui import tables
from ds01.cli.ui.formats import format_count
from ds01.host.commands.slices import apply_slices
from ds01.host.slice_limits import describe_share
from ds01.host.slices import SliceChange


@verb(example="sudo ds01 slices apply --dry-run", guided=False, user=False)
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
def command(session: Session, dry_run: bool) -> int:
    """Give groups and users the limits of the policy, as systemd slices.

    ds01-GROUP.slice gets the group's group_total, ds01-GROUP-USER.slice the user's aggregate. Limits that the
    policy no longer has are removed. The tick does the same, but never sets a limit below the memory in use.
    """
    require_root(session, "systemd's slices")
    require_real_server(session, "slices")
    session.announce_simulation()
    run = apply_slices(session.installation, session.actor, dry_run=dry_run)
    failed = [{"unit": change.unit, "why": why} for change, why in run.failed]
    session.write_document({"changed": run.changed, "would_change": run.would_change, "failed": failed})
    _show(session, run.changed or run.would_change)
    if run.would_change:
        session.say(f"{format_count(len(run.would_change), 'slice')} would change.")
    elif not (run.changed or run.failed):
        session.say("All slices match the policy.")
    for change, why in run.failed:
        session.warn(f"{change.unit}: {why}")
    return 1 if failed else 0


def _show(session: Session, changes: Iterable[SliceChange]) -> None:
    rows = [(change.unit, describe_share(change.before), describe_share(change.after)) for change in changes]
    if rows and not (session.as_json or session.quiet):
        tables.print_table(("SLICE", "HAS", "GETS"), rows)
