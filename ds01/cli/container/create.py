"""container-create"""

from __future__ import annotations

from ds01.cli.container import making
from ds01.cli.container.asked import Asked, options
from ds01.cli.options import command as verb
from ds01.cli.session import Session


@verb(example="container-create my-thesis pytorch --gpus 1", asks=True)
@options
def command(session: Session, asked: Asked, *, dry_run: bool) -> None:
    """Create a container with your limits and a GPU. It does not run yet.

    NAME is yours to choose; the image is --image, --framework, or the second word:
    a framework, an image of your own, or one that is on this server.
    """
    request = making.request_of(session, asked)
    if dry_run:
        return making.show_plan(session, request)
    acted = making.create(session, request, asked)
    session.say(f"Start it: `container-start {request.name}`, or enter it: `container-run {request.name}`")
    return session.answer({"container": acted.container})
