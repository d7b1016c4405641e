"""image-create"""

from __future__ import annotations

import click

from ds01.cli.command.definition import command as verb
from ds01.cli.command.guide import explain
from ds01.cli.image import workflow
from ds01.cli.image.builder import image_reference
from ds01.cli.image.options import ImageOptions, image_options
from ds01.cli.session import Session
from ds01.cli.ui import prompts


@verb(example="image-create my-thesis --framework pytorch --use-case nlp", asks=True)
@image_options
@click.option("--no-build", is_flag=True, help="Only write the Dockerfile.")
def command(session: Session, options: ImageOptions, no_build: bool) -> int | None:
    """Build an image of your own, in four steps: framework, Jupyter, data science, use case.

    Its Dockerfile stays in ~/dockerfiles, where you can change it: image-update builds it again.
    """
    options = workflow.complete_options(session, options, fetch=not no_build)
    name = options.name or ""
    place = workflow.write_source(session, options)
    answer = {"name": name, "reference": image_reference(session, name), "dockerfile": str(place.dockerfile)}
    if no_build:
        session.say(f"Nothing was built. `image-update {name} --rebuild` builds it.")
        session.write_document({"image": answer | {"built": False}})
        return None
    explain(session, "build")
    reference = workflow.build(session, name, place)
    session.say(f"Built {reference}.")
    session.write_document({"image": answer | {"built": True}})
    if session.interactive and prompts.confirm("Create a container from it now?", default=True):
        from ds01.cli.container.creation.deployment import deploy_named

        return deploy_named(session, name, image=reference)
    session.say(f"To create a container from it: `container-deploy {name}`. To change it: `image-update {name}`")
    return None
