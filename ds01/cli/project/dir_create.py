"""dir-create"""

from __future__ import annotations

import click

from ds01.cli.guide import explain
from ds01.cli.options import command as verb
from ds01.cli.project import meant
from ds01.cli.project.meant import Project
from ds01.cli.session import Session
from ds01.projects import project_directory


@verb(example="dir-create my-thesis", asks=True)
@meant.options("dir-create")
@click.option("--blank", is_flag=True, help="Only the folder, nothing in it.")
def command(session: Session, project: Project, *, blank: bool) -> None:
    """Make a project's folder, ~/workspace/PROJECT, with the tree of a data science project in it.

    It is /workspace in the container of the same name. What is there already stays as it is.
    """
    explain(session, "project-folder", name=project.name)
    step = project_directory.create_project_directory(project.home, project.name, blank=blank, folder=project.folder)
    meant.show(session, step)
    session.answer({"project": project.name, "path": str(project.folder), "step": step})
