"""container-deploy"""

from __future__ import annotations

import click

from ds01.cli.container import deploying, making
from ds01.cli.container.asked import Asked, options
from ds01.cli.options import command as verb
from ds01.cli.session import Session
from ds01.errors import WrongUse


@verb(example="container-deploy my-thesis --framework pytorch --background", asks=True)
@options
@click.option("--open", "open_it", is_flag=True, help="Enter it.")
@click.option("--background", is_flag=True, help="Leave it running in the background.")
def command(session: Session, asked: Asked, *, dry_run: bool, open_it: bool, background: bool) -> int | None:
    """Create a container and start it: the usual way to begin.

    NAME is yours to choose; the image is --image, --framework, or the second word:
    a framework, an image of your own, or one that is on this server.
    """
    if open_it and (background or session.as_json):
        raise WrongUse(f"--open and {'--background' if background else '--json'} at once")
    if open_it and not session.terminal:
        raise WrongUse("--open needs a terminal", hint="`--background` leaves it running, and opens nothing")
    request = making.request_of(session, asked)
    if dry_run:
        making.show_plan(session, request)
        return None
    container, code = deploying.deploy(session, request, asked, open_it=open_it, background=background)
    session.answer({"container": container})
    return code
