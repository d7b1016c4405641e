"""ds01 policy check"""

from __future__ import annotations

from pathlib import Path
from shlex import quote

import click

from ds01.cli.command.definition import command as verb
from ds01.cli.session import Session
from ds01.cli.ui import tables
from ds01.cli.ui.formats import format_count, format_local_time, short_name
from ds01.errors import Ds01Error, GpusUnreachable, PolicyUnreadable
from ds01.host.people import DOCKER_GROUP, collect_people, find_unix_group
from ds01.host.policy_comparison import PolicyComparison, compare_policies
from ds01.host.policy_names import NameFinding, check_names, needs_gpus
from ds01.policy.model import Policy
from ds01.policy.reading.load import load, load_current
from ds01.records.entries import readable


@verb(example="ds01 policy check /tmp/resource-limits.yaml --against-current", guided=False, user=False)
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False), metavar="[FILE]")
@click.option("--against-current", is_flag=True, help="Show what FILE would change for the users of today.")
def command(session: Session, file: Path | None, against_current: bool) -> None:
    """Check a policy, by default the one in force. All errors are listed; exit code 1 if there are any."""
    current = session.settings.config
    # The members' files stay where they are, also for a draft that lies elsewhere.
    try:
        if file is None:
            checked = load_current(current, session.settings.last_good_policy, session.now())
        else:
            checked = load(file, members=current.parent / "groups")
    except PolicyUnreadable as error:
        if file is None:
            raise
        hint = f"`ds01 policy check {quote(str(file))}` says when all is right"
        raise PolicyUnreadable(error.message, why=error.why, hint=hint, data=error.data) from None
    replayed = _replay(session, checked) if against_current else None
    names, gpus_problem = _check_names(session, checked)
    old = [{"file": key.file, "line": key.line, "key": key.key, "instead": key.instead} for key in checked.old_keys]
    answer = {"file": str(checked.path), "groups": list(checked.groups), "old_keys": old, "names": list(names)}
    session.write_document(answer | (vars(replayed) if replayed is not None else {}))
    if session.as_json:
        return
    for key in checked.old_keys:
        session.warn(f"{key.file}:{key.line}: write `{key.instead}` in place of {key.key}")
    for item in names:
        session.warn(str(item))
    if gpus_problem is not None:
        session.warn(f"the slots of reservations could not be checked: {gpus_problem.message}")
    for emptied in checked.last_good_members:
        session.warn(f"{emptied}; delete the file if that is meant")
    groups, overrides = (
        format_count(len(checked.groups), "group"),
        format_count(len(checked.user_overrides), "override"),
    )
    session.say(f"{checked.path} is right: {groups}, {overrides}.")
    if replayed is not None:
        _show(session, replayed)


def _check_names(session: Session, checked: Policy) -> tuple[tuple[NameFinding, ...], Ds01Error | None]:
    """Return the names that this server lacks or spells differently, and why the slots could not be checked."""
    now, slots, problem = session.now(), None, None
    if needs_gpus(checked, now):
        try:
            slots = session.installation.inventory.observe().slots
        except GpusUnreachable as error:
            problem = error
    docker = None if session.settings.sandbox else find_unix_group(DOCKER_GROUP)
    logins = docker.members if docker is not None else frozenset()
    return check_names(checked, session.users, now, slots=slots, logins=logins), problem


def _replay(session: Session, checked: Policy) -> PolicyComparison:
    """Everybody counts whom one of the two policies names, who has a container, or who may have one."""
    records = readable(session.installation.ledger.read())
    docker = None if session.settings.sandbox else find_unix_group(DOCKER_GROUP)
    docker_members = docker.members if docker is not None else frozenset()
    people = collect_people(session.policy, checked, records=records, users=session.users, also=docker_members)
    return compare_policies(session.policy, checked, people, records, session.now())


def _show(session: Session, replayed: PolicyComparison) -> None:
    if not replayed:
        session.say("Nothing would change for anybody.")
        return
    at = session.now()
    if replayed.changed:
        rows = [(item.user, item.label, item.before, item.after) for item in replayed.changed]
        tables.print_table(("USER", "LIMIT", "NOW", "THEN"), rows)
    for over in replayed.over:
        session.say(f"{over.user} would be over {over.what}: has {over.has} of {over.limit}; nothing is taken away.")
    for soon in replayed.sooner:
        then = "at the next tick" if soon.after <= at else format_local_time(soon.after, at)
        before = format_local_time(soon.before, at) if soon.before else "never"
        session.say(f"{short_name(soon.container)} of {soon.user}: {soon.because} {then}, now {before}.")
