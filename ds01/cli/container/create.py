"""container-create"""

from __future__ import annotations

from ds01.cli.command.definition import command as verb
from ds01.cli.container.creation import workflow
from ds01.cli.container.creation.options import CreateOptions, create_options
from ds01.cli.session import Session


@verb(example="container-create my-thesis pytorch --gpus 1", asks=True)
@create_options
def command(session: Session, options: CreateOptions, *, dry_run: bool) -> None:
    """Create a container with your limits and a GPU. It does not run yet.

    You choose NAME. The image is --image, --framework, or the second word:
    a framework, an image of your own, or any image on this server.
    """
    request = workflow.build_request(session, options)
    if dry_run:
        return workflow.show_plan(session, request)
    acted = workflow.create(session, request, options)
    session.say(f"Start it: `container-start {request.name}`, or enter it: `container-run {request.name}`")
    return session.write_document({"container": acted.container})
