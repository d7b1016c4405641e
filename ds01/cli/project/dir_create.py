"""dir-create"""

from __future__ import annotations

import click

from ds01.cli.command.definition import command as verb
from ds01.cli.command.guide import explain
from ds01.cli.project import target
from ds01.cli.project.target import Project
from ds01.cli.session import Session
from ds01.projects import project_directory


@verb(example="dir-create my-thesis", asks=True)
@target.project_argument("dir-create")
@click.option("--blank", is_flag=True, help="Create an empty directory.")
def command(session: Session, project: Project, *, blank: bool) -> None:
    """Create a project's directory, ~/workspace/PROJECT, with the layout of a data science project.

    It is /workspace in the container of the same name. Existing files stay as they are.
    """
    explain(session, "project-folder", name=project.name)
    step = project_directory.create_project_directory(project.home, project.name, blank=blank, folder=project.folder)
    target.show_step(session, step)
    session.write_document({"project": project.name, "path": str(project.folder), "step": step})
