"""Creating a container and starting it, as container-deploy does, and who made an image for one."""

from __future__ import annotations

import click

from ds01.api.views import ContainerView
from ds01.cli import ask
from ds01.cli.container import making
from ds01.cli.container.asked import Asked
from ds01.cli.container.entering import enter
from ds01.cli.container.reaching import say_how_to_reach
from ds01.cli.session import Session
from ds01.records.request import ContainerRequest

INTERRUPTED = 130


def deploy(
    session: Session, request: ContainerRequest, asked: Asked, *, open_it: bool = False, background: bool = False
) -> tuple[ContainerView, int | None]:
    """Create and start; enter it if that is wanted. The container, and the exit code of what was entered."""
    container = making.create(session, request, asked, start=True).container
    say_how_to_reach(session, container)
    if not open_it:
        # Before the question, so that it is read by whoever ends it with Ctrl-C.
        session.say(f"Enter it: `container-run {request.name}`. Give it back: `container-retire {request.name}`")
    if not (open_it or background) and session.interactive:
        try:
            open_it = ask.choose("And now?", ["open a terminal in it", "leave it in the background"]) == 0
        except click.Abort:
            session.say(f"{request.name} goes on running in the background.")
            return container, INTERRUPTED
    return container, enter(session, container) if open_it else None


def deploy_named(session: Session, name: str, *, image: str, background: bool = False) -> int | None:
    """Create and start a container of a name from an image of one's own, with the policy's defaults."""
    asked = Asked(name=name, image=image)
    return deploy(session, making.request_of(session, asked), asked, background=background)[1]
