"""ds01 user add, also add-user-to-docker"""

from __future__ import annotations

import click

from ds01.cli.command.definition import command as verb
from ds01.cli.command.privileges import require_root
from ds01.cli.session import Session
from ds01.host import user_setup
from ds01.host.commands.user_add import add_user
from ds01.host.user_setup import SetupStep


@verb(example="sudo ds01 user add alice", json=False, guided=False, user=False)
@click.argument("login")
def command(session: Session, login: str) -> int:
    """Set up a user of ds01: the groups docker and video, the workspace directory, the slice. Safe to run again."""
    require_root(session, "the groups of the machine")
    account = session.users.by_login(login)
    results = []
    for step in add_user(session.installation, session.actor, account):
        _show(session, step)
        results.append(step)
    if user_setup.needs_new_login(results):
        session.say(f"{account.login} must log out and in again: new groups take effect at the next login.")
    failed = [step for step in results if step.problem and step.what != "group video"]
    return 1 if failed else 0


def _show(session: Session, step: SetupStep) -> None:
    if step.problem:
        session.warn(f"{step.what}: {step.problem}")
    else:
        session.say(f"{'already' if step.already else 'done   '}  {step.what}")
