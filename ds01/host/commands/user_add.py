"""Run `ds01 user add`: set up an account for ds01, step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

from ds01.errors import Ds01Error, PolicyUnreadable
from ds01.gate.installation import Installation
from ds01.host import user_setup
from ds01.host.user_setup import SetupStep
from ds01.system.users import Account, Actor


def add_user(installation: Installation, actor: Actor, account: Account) -> Iterator[SetupStep]:
    """Run each step and yield its result; a failed step does not stop the others."""
    steps: list[Callable[[], SetupStep]] = [
        lambda: user_setup.ensure_workspace(account, actor, _workspaces(installation))
    ]
    if not installation.settings.sandbox:  # a sandbox needs no groups, and must not change the machine's slices
        groups = [lambda name=name: user_setup.ensure_group(account, name) for name in user_setup.GROUPS]
        steps = [*groups, *steps, lambda: user_setup.ensure_slice(account, installation.context)]
    for step in steps:
        try:
            result = step()
        except Ds01Error as error:
            result = SetupStep(error.message, problem=error.why or "failed")
        if not result.already and not result.problem:
            event = {"actor": actor.login, "container": None, "user": account.login, "why": result.what}
            with suppress(Ds01Error):  # an unreadable policy must not fail the setup
                installation.context.emit("configuration", event)
        yield result


def _workspaces(installation: Installation) -> str | None:
    try:
        return installation.policy.workspaces
    except PolicyUnreadable:  # must not fail the setup
        return None
