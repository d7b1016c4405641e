"""image-create"""

from __future__ import annotations

import click

from ds01.cli import ask
from ds01.cli.guide import explain
from ds01.cli.image import making
from ds01.cli.image.asked import Asked, options
from ds01.cli.image.building import reference_of
from ds01.cli.options import command as verb
from ds01.cli.session import Session


@verb(example="image-create my-thesis --framework pytorch --use-case nlp", asks=True)
@options
@click.option("--no-build", is_flag=True, help="Only write the Dockerfile.")
def command(session: Session, asked: Asked, no_build: bool) -> int | None:
    """Build an image of your own, in four steps: framework, Jupyter, data science, use case.

    Its Dockerfile stays in ~/dockerfiles, for you to change: image-update builds it again.
    """
    asked = making.complete(session, asked, fetch=not no_build)
    name = asked.name or ""
    place = making.write_source(session, asked)
    answer = {"name": name, "reference": reference_of(session, name), "dockerfile": str(place.dockerfile)}
    if no_build:
        session.say(f"Nothing was built. `image-update {name} --rebuild` does.")
        session.answer({"image": answer | {"built": False}})
        return None
    explain(session, "build")
    reference = making.build(session, name, place)
    session.say(f"Built {reference}.")
    session.answer({"image": answer | {"built": True}})
    if session.interactive and ask.confirm("Create a container from it now?", default=True):
        from ds01.cli.container.deploying import deploy_named

        return deploy_named(session, name, image=reference)
    session.say(f"A container from it: `container-deploy {name}`. To change it: `image-update {name}`")
    return None
