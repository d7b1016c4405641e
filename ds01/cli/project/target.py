"""Finding the project of a command: by its name, or by the current directory. And the output of project steps."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from ds01.cli.container.creation.options import resolve_directory
from ds01.cli.session import Session
from ds01.cli.ui import prompts
from ds01.cli.ui.output import printable, write_raw
from ds01.dataclass import dataclass
from ds01.errors import Ds01Error, NotFound, UsageError
from ds01.policy.names import NAME_PATTERN
from ds01.projects.project_directory import project_name, project_path, workspaces_directory
from ds01.projects.step_result import StepResult
from ds01.system.home import Home


@dataclass(frozen=True)
class Project:
    """A project of the owner of `home`. Its directory `folder` may not exist yet."""

    home: Home
    name: str
    folder: Path


def project_argument(verb: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: add the argument PROJECT and --dir, and pass them on as one `project`. `verb`: for hints."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def run(session: Session, *, project: str | None, folder: str | None, **values: Any) -> Any:
            return function(session, _resolve_project(session, project, folder, verb), **values)

        directory_option = click.option(
            "--dir", "folder", metavar="DIR", help="Its directory. Default: ~/workspace/PROJECT."
        )
        return click.argument("project", required=False)(directory_option(run))

    return decorate


def require_directory(project: Project) -> None:
    """Raise NotFound if the project's directory does not exist."""
    if not project.home.exists(project.folder):
        raise NotFound(
            f"there is no project {project.name}",
            why=f"{project.folder} does not exist",
            hint=f"`dir-create {project.name}` creates it",
        )


def show_step(session: Session, step: StepResult) -> None:
    """Report what a step did."""
    if step.made:
        session.say(f"Created: {', '.join(step.made)}.")
        if step.kept:
            session.say(f"Already present: {', '.join(step.kept)}.")
    else:
        session.say(f"Nothing to do, already present: {', '.join(step.kept)}.")
    for note in step.notes:
        session.say(note)


def show_unwrapped(session: Session, lines: Iterable[str]) -> None:
    """Print lines for copying, without breaking them at the terminal's width."""
    stream = sys.stderr if session.as_json else sys.stdout
    if not session.quiet:
        write_raw("\n".join(printable(line) for line in lines), stream)


def _resolve_project(session: Session, typed: str | None, directory: str | None, verb: str) -> Project:
    home = session.home
    if directory is not None:
        folder = Path(os.path.normpath(resolve_directory(session, directory) or directory))
        return Project(home, project_name(folder.name if typed is None else typed), folder)
    if typed is None:
        current = _project_at_cwd(home)
        if session.interactive:
            typed = prompts.ask_text("Name of the project", default=current, check=project_name)
        elif current is not None:
            typed = current
        else:
            raise UsageError(
                "which project?",
                why=f"the current directory is not a project's: projects are in {workspaces_directory(home)}",
                hint=f"name it: `{verb} PROJECT`",
            )
    name = project_name(typed)
    if name != typed:
        session.say(f"The name becomes {name}: lower case, without spaces.")
    return Project(home, name, project_path(home, name))


def _project_at_cwd(home: Home) -> str | None:
    """Return the project whose directory contains the current one; None if there is none."""
    try:
        here = Path.cwd()
    except OSError:  # the current directory was removed
        return None
    workspaces = [workspaces_directory(home)]
    with suppress(Ds01Error):  # a home, or the workspace in it, is often a link
        workspaces.append(Path(home.run(["realpath", "--", str(workspaces_directory(home))]).rstrip("\n")))
    for workspace_path in workspaces:
        if here != workspace_path and here.is_relative_to(workspace_path):
            name = here.relative_to(workspace_path).parts[0]
            return name if NAME_PATTERN.fullmatch(name) else None
    return None
