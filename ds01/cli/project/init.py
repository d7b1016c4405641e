"""project-init, new-project"""

from __future__ import annotations

import click

from ds01.cli.command.definition import command as verb
from ds01.cli.project.options import ProjectOptions, container_options
from ds01.cli.project.setup import set_up_project
from ds01.cli.session import Session


@verb(example="project-init my-thesis --type nlp --quick", asks=True)
@click.argument("name", required=False)
@click.option("--type", "kind", metavar="CASE", help="What it is for: ml, cv, nlp, rl, audio, timeseries, llm.")
@click.option("--framework", metavar="NAME[-VERSION]", help="The base of its image. Default: pytorch.")
@click.option("--image", metavar="IMAGE", help="Use this image, and build none.")
@click.option("--description", metavar="TEXT", help="One line for the README.")
@click.option("--blank", is_flag=True, help="An empty directory, without data, notebooks, models.")
@click.option("--no-git", is_flag=True, help="Without Git.")
@click.option("--no-image", is_flag=True, help="Without an image and a container.")
@click.option("--no-container", is_flag=True, help="Without a container.")
@container_options
@click.option("--quick", is_flag=True, help="Ask nothing, and use the defaults.")
def command(
    session: Session,
    name: str | None,
    kind: str | None,
    framework: str | None,
    image: str | None,
    description: str | None,
    blank: bool,
    no_git: bool,
    no_image: bool,
    no_container: bool,
    gpus: int | None,
    cpu_only: bool,
    wait: bool,
    wait_for: str | None,
    quick: bool,
) -> int | None:
    """Begin a project: its directory, Git, a README, an image of its own, and a container.

    Whether you may have the container is checked before anything is built. Existing files
    stay as they are: an interrupted project continues where it stopped.
    """
    session.yes = session.yes or quick
    project_options = ProjectOptions(
        name=name,
        kind=kind,
        framework=framework,
        image=image,
        description=description,
        blank=blank,
        git=not no_git,
        with_image=not no_image,
        with_container=not (no_image or no_container),
        gpus=gpus,
        cpu_only=cpu_only,
        wait=wait,
        wait_for=wait_for,
    )
    return set_up_project(session, project_options)
