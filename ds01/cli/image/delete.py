"""image-delete"""

from __future__ import annotations

import click

from ds01.api.images import RemoveImage
from ds01.cli.command.definition import command as verb
from ds01.cli.command.guide import explain
from ds01.cli.image import sources
from ds01.cli.image.builder import build_log_path, image_reference
from ds01.cli.session import Session
from ds01.cli.ui import prompts
from ds01.errors import NotFound
from ds01.images import source


@verb(example="image-delete my-thesis", asks=True)
@click.argument("name", required=False)
@click.option("--dockerfile", "with_source", is_flag=True, help="Delete its Dockerfile too.")
def command(session: Session, name: str | None, with_source: bool) -> None:
    """Delete an image of yours, unless a container uses it. Its Dockerfile stays: the image can be built again."""
    name = sources.resolve_image_name(session, name, verb="delete")
    explain(session, "image-delete")
    image = sources.find_image(session, name)
    place = sources.find_source(session, name, image)
    if image is None and not (with_source and place):
        raise NotFound(f"you have no image {name}", hint="`image-list` shows yours")
    deleted_things = [f"the image {name}"] if image else []
    deleted_things += [f"its Dockerfile {place.dockerfile}"] if with_source and place else []
    if session.interactive and not prompts.confirm(f"Delete {' and '.join(deleted_things)}?", default=not with_source):
        session.say("Nothing was deleted.")
        return
    if image is not None:
        session.run(RemoveImage(image.reference))
        session.say(f"Deleted {image.reference}.")
    if with_source and place is not None:
        home = session.home
        for path in (*source.source_files(place), build_log_path(home, name)):
            if home.remove(path):
                session.say(f"Deleted {path}.")
    elif place is not None:
        session.say(f"Its Dockerfile stays: {place.dockerfile}")
    session.write_document({"image": {"name": name, "reference": image_reference(session, name)}})
