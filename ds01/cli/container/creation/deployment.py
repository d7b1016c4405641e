"""Creating and starting a container, for container-deploy and for commands that built an image for one."""

from __future__ import annotations

import click

from ds01.api.types import ContainerRequest
from ds01.api.views import ContainerView
from ds01.cli.container.creation import workflow
from ds01.cli.container.creation.options import CreateOptions
from ds01.cli.container.steps.jupyter_hint import show_jupyter_hint
from ds01.cli.container.steps.shell import enter
from ds01.cli.session import Session
from ds01.cli.ui import prompts

EXIT_INTERRUPTED = 130


def deploy(
    session: Session,
    request: ContainerRequest,
    options: CreateOptions,
    *,
    open_it: bool = False,
    background: bool = False,
) -> tuple[ContainerView, int | None]:
    """Create and start a container, and enter it if wanted. Return it with the exit code of the shell, if any."""
    container = workflow.create(session, request, options, start=True).container
    show_jupyter_hint(session, container)
    if not open_it:
        # Before the question, so that it is shown even if Ctrl-C ends the question.
        session.say(f"Enter it: `container-run {request.name}`. Give it back: `container-retire {request.name}`")
    if not (open_it or background) and session.interactive:
        try:
            open_it = prompts.choose("And now?", ["open a terminal in it", "leave it in the background"]) == 0
        except click.Abort:
            session.say(f"{request.name} goes on running in the background.")
            return container, EXIT_INTERRUPTED
    return container, enter(session, container) if open_it else None


def deploy_named(session: Session, name: str, *, image: str, background: bool = False) -> int | None:
    """Create and start a container from one of the owner's images, with the policy's defaults."""
    options = CreateOptions(name=name, image=image)
    return deploy(session, workflow.build_request(session, options), options, background=background)[1]
