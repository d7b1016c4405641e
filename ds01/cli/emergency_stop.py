"""ds01 emergency-stop"""

from __future__ import annotations

import click

from ds01.api.server import EmergencyStop
from ds01.automation.last_good_policy import load_policy_or_last_good
from ds01.cli.command.definition import command as verb
from ds01.cli.session import Session
from ds01.cli.ui.formats import format_count
from ds01.cli.ui.prompts import confirm
from ds01.errors import NotFound, UsageError
from ds01.records.record import Record


@verb(example="ds01 emergency-stop alice", asks=True, guided=False, user=False)
@click.argument("who", required=False, metavar="[USER]")
@click.option("-a", "--all", "everybody", is_flag=True, help="The containers of all users.")
def command(session: Session, who: str | None, everybody: bool) -> int:
    """Stop all containers of USER, or of everybody, at once (administrators).

    Nothing can be saved, and commands in progress are not waited for. GPUs are held as after any stop.
    """
    if (who is None) != everybody:
        raise UsageError("whose containers?", why="either USER or --all", hint="`ds01 emergency-stop --all`")
    # It is needed most when something is odd: an unreadable policy must not be in its way.
    session.installation.policy, problem, _ = load_policy_or_last_good(
        session.settings.config, session.installation.ledger, session.now()
    )
    if problem is not None:
        session.warn(problem)
    owner = None if who is None else _uid_of(session, who)
    containers = session.run(EmergencyStop(owner, dry_run=True)).containers
    if not containers:
        session.write_document({"stopped": [], "failed": []})
        session.say("Nothing runs.")
        return 0
    if not session.yes:
        if not session.interactive:
            raise UsageError(
                f"this stops {format_count(len(containers), 'container')} at once", hint="`-y` confirms it"
            )
        session.say("\n".join(containers))
        if not confirm(f"Stop {format_count(len(containers), 'container')} now, without saving?", default=False):
            session.say("Nothing was stopped.")
            return 0
    outcome = session.run(EmergencyStop(owner))
    session.write_document({"stopped": outcome.containers, "failed": outcome.failed})
    session.say(f"Stopped: {', '.join(outcome.containers) or 'nothing'}")
    for failed in outcome.failed:
        name = failed.partition(":")[0]
        session.warn(f"not stopped: {failed}; `docker kill {name}` may do it")
    if outcome.problem is not None:
        session.warn(outcome.problem)
    for warning in outcome.warnings:
        session.warn(warning)
    return 1 if outcome.failed or outcome.problem else 0


def _uid_of(session: Session, login: str) -> int:
    """The uid of a login; by the records where the user database does not know it, or does not answer."""
    try:
        return session.users.by_login(login).uid
    except NotFound:
        entries = session.installation.ledger.read().values()
        uids = {entry.uid for entry in entries if isinstance(entry, Record) and entry.user == login}
        if len(uids) != 1:
            raise
        return uids.pop()
