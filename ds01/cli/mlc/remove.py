"""mlc-remove"""

from __future__ import annotations

import click

from ds01.api.containers import ListAime, RemoveContainer
from ds01.cli import ask
from ds01.cli.mlc.line import AimeLine, unasked
from ds01.cli.mlc.meant import Meant, find
from ds01.cli.mlc.shown import runs
from ds01.cli.options import command as verb
from ds01.cli.session import Session
from ds01.errors import NotPossible


@verb(example="mlc-remove my-thesis -Y", asks=True, guided=False, kind=AimeLine)
@click.argument("name", required=False)
@unasked
def command(session: Session, name: str | None, unasked: bool) -> None:
    """Remove a stopped container and the image that was made for it. What is in its workspace stays.

    One of AIME's own tools is adopted first. One that runs has to be stopped first.
    """
    session.yes |= unasked
    meant = find(session, name, verb="remove", running=False)
    _check_stopped(session, meant)
    question = f"Remove {meant.name}? What was installed in it goes with it"
    if session.interactive and not ask.confirm(question, default=False):
        session.say("Nothing was removed.")
        return
    container = meant.ours(session, ending=True)
    acted = session.run(RemoveContainer(container))
    session.say(f"Removed {acted.container.name}.")
    for warning in acted.warnings:
        session.warn(warning)
    session.answer({"container": acted.container})


def _check_stopped(session: Session, meant: Meant) -> None:
    """Raises NotPossible before anything is asked, or adopted."""
    for view in session.run(ListAime(all_users=True)):
        if view.container.container == meant.container and runs(view):
            raise NotPossible(
                f"{meant.name} runs",
                why="a running container is not removed",
                hint=f"`mlc-stop {meant.name}` first",
            )
