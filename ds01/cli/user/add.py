"""ds01 user add, also add-user-to-docker"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import click

from ds01.cli.command.definition import command as verb
from ds01.cli.command.privileges import require_root
from ds01.cli.session import Session
from ds01.errors import Ds01Error, PolicyUnreadable
from ds01.host import user_setup
from ds01.host.user_setup import SetupStep


@verb(example="sudo ds01 user add alice", json=False, guided=False, user=False)
@click.argument("login")
def command(session: Session, login: str) -> int:
    """Let somebody use ds01: groups docker and video, the folder for workspaces, the slice. Safe to run again."""
    require_root(session, "the groups of the machine")
    account = session.users.by_login(login)
    steps: list[Callable[[], SetupStep]] = [
        lambda: user_setup.ensure_workspace(account, session.actor, _workspaces(session))
    ]
    if not session.settings.sandbox:  # there everybody is a user already, and groups and slices are the machine's
        groups = [lambda name=name: user_setup.ensure_group(account, name) for name in user_setup.GROUPS]
        steps = [*groups, *steps, lambda: user_setup.ensure_slice(account, session.context)]
    results = []
    for step in steps:
        try:
            results.append(step())
        except Ds01Error as error:
            results.append(SetupStep(error.message, problem=error.why or "failed"))
        _show(session, results[-1])
        _record_step(session, account.login, results[-1])
    if user_setup.needs_new_login(results):
        session.say(f"{account.login} has to log out and in again: groups count from the next login on.")
    failed = [step for step in results if step.problem and step.what != "group video"]
    return 1 if failed else 0


def _workspaces(session: Session) -> str | None:
    try:
        return session.policy.workspaces
    except PolicyUnreadable:  # which keeps nobody from becoming a user
        return None


def _record_step(session: Session, login: str, step: SetupStep) -> None:
    if not step.already and not step.problem:
        event = {"actor": session.actor.login, "container": None, "user": login, "why": step.what}
        with suppress(Ds01Error):  # an unreadable policy keeps nobody from becoming a user
            session.context.emit("configuration", event)


def _show(session: Session, step: SetupStep) -> None:
    if step.problem:
        session.warn(f"{step.what}: {step.problem}")
    else:
        session.say(f"{'already' if step.already else 'done   '}  {step.what}")
