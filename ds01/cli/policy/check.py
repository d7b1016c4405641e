"""ds01 policy check"""

from __future__ import annotations

from pathlib import Path
from shlex import quote

import click

from ds01.cli.command.definition import command as verb
from ds01.cli.session import Session
from ds01.cli.ui import tables
from ds01.cli.ui.formats import format_count, format_local_time, short_name
from ds01.errors import PolicyUnreadable
from ds01.host.commands.policy_check import check_policy
from ds01.host.policy_comparison import PolicyComparison


@verb(example="ds01 policy check /tmp/resource-limits.yaml --against-current", guided=False, user=False)
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False), metavar="[FILE]")
@click.option("--against-current", is_flag=True, help="Show what FILE would change for current users.")
def command(session: Session, file: Path | None, against_current: bool) -> None:
    """Check a policy, by default the one in force. All errors are listed; exit code 1 if there are any."""
    try:
        check = check_policy(session.installation, file, compare=against_current)
    except PolicyUnreadable as error:
        if file is None:
            raise
        hint = f"when that is corrected, `ds01 policy check {quote(str(file))}` checks it again"
        raise PolicyUnreadable(error.message, why=error.why, hint=hint, data=error.data) from None
    checked, comparison = check.policy, check.comparison
    old = [{"file": key.file, "line": key.line, "key": key.key, "instead": key.instead} for key in checked.old_keys]
    answer = {"file": str(checked.path), "groups": list(checked.groups), "old_keys": old, "names": list(check.names)}
    session.write_document(answer | (vars(comparison) if comparison is not None else {}))
    if session.as_json:
        return
    for key in checked.old_keys:
        session.warn(f"{key.file}:{key.line}: write `{key.instead}` instead of {key.key}")
    for item in check.names:
        session.warn(str(item))
    if check.gpus_problem is not None:
        session.warn(f"the slots of reservations could not be checked: {check.gpus_problem.message}")
    for emptied in checked.last_good_members:
        session.warn(f"{emptied}; delete the file if this is intended")
    groups, overrides = (
        format_count(len(checked.groups), "group"),
        format_count(len(checked.user_overrides), "override"),
    )
    session.say(f"{checked.path} is valid: {groups}, {overrides}.")
    if comparison is not None:
        _show(session, comparison)


def _show(session: Session, comparison: PolicyComparison) -> None:
    if not comparison:
        session.say("Nothing would change for anybody.")
        return
    at = session.now()
    if comparison.changed:
        rows = [(item.user, item.label, item.before, item.after) for item in comparison.changed]
        tables.print_table(("USER", "LIMIT", "NOW", "THEN"), rows)
    for over in comparison.over:
        session.say(f"{over.user} would exceed {over.what}: has {over.has} of {over.limit}; nothing is taken away.")
    for soon in comparison.sooner:
        then = "at the next tick" if soon.after <= at else format_local_time(soon.after, at)
        before = format_local_time(soon.before, at) if soon.before else "never"
        session.say(f"{short_name(soon.container)} of {soon.user}: {soon.because} {then}, now {before}.")
