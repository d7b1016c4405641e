"""ds01 emergency-stop"""

from __future__ import annotations

import click

from ds01.api.server import EmergencyStop
from ds01.cli.command.definition import command as verb
from ds01.cli.session import Session
from ds01.cli.ui.formats import format_count
from ds01.cli.ui.prompts import confirm
from ds01.errors import UsageError
from ds01.host.commands.emergency import find_uid, use_last_good_policy


@verb(example="ds01 emergency-stop alice", asks=True, guided=False, user=False)
@click.argument("who", required=False, metavar="[USER]")
@click.option("-a", "--all", "everybody", is_flag=True, help="The containers of all users.")
def command(session: Session, who: str | None, everybody: bool) -> int:
    """Stop all containers of USER, or of everybody, at once (administrators).

    Programs get no time to save, and commands in progress are not waited for. GPUs are held as after any stop.
    """
    if (who is None) != everybody:
        raise UsageError(
            "whose containers?", why="exactly one of USER and --all is needed", hint="`ds01 emergency-stop --all`"
        )
    # It is needed most when something is wrong: an unreadable policy must not prevent it.
    problem = use_last_good_policy(session.installation)
    if problem is not None:
        session.warn(problem)
    owner = None if who is None else find_uid(session.installation, who)
    containers = session.run(EmergencyStop(owner, dry_run=True)).containers
    if not containers:
        session.write_document({"stopped": [], "failed": []})
        session.say("No container is running.")
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
