"""mlc-remove"""

from __future__ import annotations

import click

from ds01.api.containers import RemoveContainer
from ds01.api.measures import ListAime
from ds01.cli.command.definition import command as verb
from ds01.cli.mlc.command_line import AimeCommand, assume_yes_option
from ds01.cli.mlc.docker_format import is_running
from ds01.cli.mlc.target import Target, resolve_target
from ds01.cli.session import Session
from ds01.cli.ui import prompts
from ds01.errors import InvalidState


@verb(example="mlc-remove my-thesis -Y", asks=True, guided=False, kind=AimeCommand)
@click.argument("name", required=False)
@assume_yes_option
def command(session: Session, name: str | None, assume_yes: bool) -> None:
    """Remove a stopped container and the image that was created for it. Its workspace stays.

    A container created by AIME's tools is first taken over, as by container-adopt. Stop a running container first.
    """
    session.yes |= assume_yes
    target = resolve_target(session, name, verb="remove", running=False)
    _check_stopped(session, target)
    question = f"Remove {target.name}? What was installed in it is lost"
    if session.interactive and not prompts.confirm(question, default=False):
        session.say("Nothing was removed.")
        return
    container = target.ensure_adopted(session, ending=True)
    acted = session.run(RemoveContainer(container))
    session.say(f"Removed {acted.container.name}.")
    for warning in acted.warnings:
        session.warn(warning)
    session.write_document({"container": acted.container})


def _check_stopped(session: Session, target: Target) -> None:
    """Raise InvalidState if the container is running, before anybody is asked and anything is adopted."""
    for view in session.run(ListAime(all_users=True)):
        if view.container.container == target.container and is_running(view):
            raise InvalidState(
                f"{target.name} is running",
                why="a running container cannot be removed",
                hint=f"`mlc-stop {target.name}` first",
            )
