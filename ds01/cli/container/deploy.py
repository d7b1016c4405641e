"""container-deploy"""

from __future__ import annotations

import click

from ds01.cli.command.definition import command as verb
from ds01.cli.container.creation import deployment, workflow
from ds01.cli.container.creation.options import CreateOptions, create_options
from ds01.cli.session import Session
from ds01.errors import UsageError


@verb(example="container-deploy my-thesis --framework pytorch --background", asks=True)
@create_options
@click.option("--open", "open_it", is_flag=True, help="Open a shell in it.")
@click.option("--background", is_flag=True, help="Leave it running in the background.")
def command(session: Session, options: CreateOptions, *, dry_run: bool, open_it: bool, background: bool) -> int | None:
    """Create a container and start it: the usual way to begin.

    You choose NAME. The image is --image, --framework, or the second word:
    a framework, an image of your own, or any image on this server.
    """
    if open_it and (background or session.as_json):
        raise UsageError(f"--open cannot be combined with {'--background' if background else '--json'}")
    if open_it and not session.has_terminal:
        raise UsageError("--open needs a terminal", hint="`--background` leaves it running without a shell")
    request = workflow.build_request(session, options)
    if dry_run:
        workflow.show_plan(session, request)
        return None
    container, code = deployment.deploy(session, request, options, open_it=open_it, background=background)
    session.write_document({"container": container})
    return code
