"""readme-create"""

from __future__ import annotations

from functools import partial

import click

from ds01.cli.command.definition import command as verb
from ds01.cli.command.guide import explain
from ds01.cli.project import target
from ds01.cli.project.target import Project
from ds01.cli.session import Session
from ds01.cli.ui import prompts
from ds01.projects import project_file, readme


@verb(example='readme-create my-thesis --description "Birds in winter"', asks=True)
@target.project_argument("readme-create")
@click.option("--description", metavar="TEXT", help="What the project is about.")
@click.option("--force", is_flag=True, help="Replace an existing README.md.")
def command(session: Session, project: Project, *, description: str | None, force: bool) -> None:
    """Write a README for a project: what it is, where things are, and how to work on it.

    An existing README stays as it is.
    """
    target.require_directory(project)
    explain(session, "readme")
    project_settings = project_file.read(project.home, project.folder)
    write = partial(
        readme.write_readme,
        project.home,
        project.folder,
        project.name,
        description=description,
        framework=project_settings.get("framework"),
        kind=project_settings.get("kind"),
    )
    step = write(overwrite=force)
    question = f"{' '.join(step.differing)} has other content. Replace it?"
    if step.differing and session.interactive and prompts.confirm(question, default=False):
        step = write(overwrite=True)
    target.show_step(session, step)
    if step.differing and not session.interactive:
        session.say("--force replaces it.")
    session.write_document({"project": project.name, "path": str(project.folder), "step": step})
