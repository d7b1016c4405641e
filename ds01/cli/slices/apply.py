"""ds01 slices apply"""

from __future__ import annotations

from collections.abc import Iterable

import click

from ds01.cli.command.definition import command as verb
from ds01.cli.command.privileges import require_real_server, require_root
from ds01.cli.session import Session
from ds01.cli.ui import tables
from ds01.cli.ui.formats import format_count
from ds01.host.slice_limits import apply_changes, describe_share, plan_changes
from ds01.host.slice_updates import emit_slice_changes
from ds01.host.slices import SliceChange
from ds01.records.entries import readable


@verb(example="sudo ds01 slices apply --dry-run", guided=False, user=False)
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
def command(session: Session, dry_run: bool) -> int:
    """Give groups and users the limits of the policy, as systemd slices.

    ds01-GROUP.slice gets the group's group_total, ds01-GROUP-USER.slice the user's aggregate. What the policy
    dropped is removed. The tick does the same, but never sets a limit below the memory that is in use.
    """
    require_root(session, "systemd's slices")
    require_real_server(session, "slices")
    context = session.context
    driver = context.engine.info().cgroup_driver
    records, memory = readable(context.ledger.read()), context.ledger.tick_memory()
    changes = plan_changes(context.rules.policy, records, context.users, context.clock(), driver=driver, memory=memory)
    if dry_run or not changes:
        session.write_document({"changed": [], "would_change": changes, "failed": []})
        _show(session, changes)
        session.say(
            f"{format_count(len(changes), 'slice')} would change." if changes else "All slices are as the policy says."
        )
        return 0
    outcome = apply_changes(changes, respect_usage=False)
    emit_slice_changes(context, session.actor.login, outcome)
    failed = [{"unit": change.unit, "why": why} for change, why in outcome.failed]
    session.write_document({"changed": outcome.changed, "would_change": [], "failed": failed})
    _show(session, outcome.changed)
    for change, why in outcome.failed:
        session.warn(f"{change.unit}: {why}")
    return 1 if failed else 0


def _show(session: Session, changes: Iterable[SliceChange]) -> None:
    rows = [(change.unit, describe_share(change.before), describe_share(change.after)) for change in changes]
    if rows and not (session.as_json or session.quiet):
        tables.print_table(("SLICE", "HAS", "GETS"), rows)
