"""devcontainer-init"""

from __future__ import annotations

from functools import partial

import click

from ds01.api.images import HasImage
from ds01.api.server import GetLimits
from ds01.api.types import is_reference
from ds01.cli.command.definition import command as verb
from ds01.cli.command.guide import explain
from ds01.cli.project import target
from ds01.cli.project.target import Project
from ds01.cli.session import Session
from ds01.cli.ui import prompts
from ds01.errors import UsageError
from ds01.projects import devcontainer, project_file


@verb(example="devcontainer-init my-thesis", asks=True)
@target.project_argument("devcontainer-init")
@click.option("--image", metavar="IMAGE", help="The image. Default: the project's own.")
@click.option("--force", is_flag=True, help="Replace an existing devcontainer.json.")
def command(session: Session, project: Project, *, image: str | None, force: bool) -> None:
    """Write .devcontainer/devcontainer.json, for VS Code's "Reopen in Container".

    That container is for writing code: it has your limits and no GPU. For a GPU, attach
    VS Code to the container that ds01 created; the file says how.
    """
    target.require_directory(project)
    explain(session, "devcontainer")
    image = image or project_file.read(project.home, project.folder).get("image")
    image = image or devcontainer.default_image(session.owner, project.name)
    if not is_reference(image):
        raise UsageError(f"'{image}' is not an image name", why="it has the form [HOST/]NAME[:TAG], in lower case")
    limits = session.run(GetLimits(owner=session.owner.uid)).arguments
    write = partial(devcontainer.write_devcontainer, project.home, project.folder, project.name, image, limits=limits)
    step = write(overwrite=force)
    question = f"{' '.join(step.differing)} has other content. Replace it?"
    if step.differing and session.interactive and prompts.confirm(question, default=False):
        step = write(overwrite=True)
    target.show_step(session, step)
    if step.differing and not session.interactive:
        session.say("--force replaces it.")
    if not session.run(HasImage(image)):
        session.say(f"The server does not have the image {image} yet: `image-create {project.name}` builds one.")
    session.write_document({"project": project.name, "path": str(project.folder), "image": image, "step": step})
