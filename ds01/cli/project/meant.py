"""Which project a command is about: the one that is named, or the one in whose folder somebody stands."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from ds01.cli import ask
from ds01.cli.container.asked import folder as absolute
from ds01.cli.output import printable, send
from ds01.cli.session import Session
from ds01.errors import Ds01Error, NotFound, WrongUse
from ds01.policy.names import NAME_PATTERN
from ds01.projects.project_directory import project_name, project_path, workspaces_directory
from ds01.projects.step_result import StepResult
from ds01.system.home import Home


@dataclass(frozen=True)
class Project:
    """A project of `home`'s person, and where it lies. The folder need not be there."""

    home: Home
    name: str
    folder: Path


def options(verb: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The argument PROJECT and the option --dir; the function gets them as one `project`. `verb` is for the hint."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def run(session: Session, *, project: str | None, folder: str | None, **given: Any) -> Any:
            return function(session, _meant(session, project, folder, verb), **given)

        where = click.option("--dir", "folder", metavar="DIR", help="Its folder. Default: ~/workspace/PROJECT.")
        return click.argument("project", required=False)(where(run))

    return decorate


def expect_folder(project: Project) -> None:
    """Raises NotFound if the project's folder is not there."""
    if not project.home.exists(project.folder):
        raise NotFound(
            f"there is no project {project.name}",
            why=f"{project.folder} is not there",
            hint=f"`dir-create {project.name}` makes it",
        )


def show(session: Session, step: StepResult) -> None:
    """Say what a step did."""
    if step.made:
        session.say(f"Made: {', '.join(step.made)}.")
        if step.kept:
            session.say(f"There already: {', '.join(step.kept)}.")
    else:
        session.say(f"Nothing to do, it is there already: {', '.join(step.kept)}.")
    for note in step.notes:
        session.say(note)


def show_whole(session: Session, lines: Iterable[str]) -> None:
    """Say lines that somebody copies: a terminal's width does not break them."""
    stream = sys.stderr if session.as_json else sys.stdout
    if not session.quiet:
        send("\n".join(printable(line) for line in lines), stream)


def _meant(session: Session, typed: str | None, where: str | None, verb: str) -> Project:
    home = session.home
    if where is not None:
        folder = Path(os.path.normpath(absolute(session, where) or where))
        return Project(home, project_name(folder.name if typed is None else typed), folder)
    if typed is None:
        here = _here(home)
        if session.interactive:
            typed = ask.text("Name of the project", default=here, check=project_name)
        elif here is not None:
            typed = here
        else:
            raise WrongUse(
                "which project?",
                why=f"this is not the folder of one: they lie in {workspaces_directory(home)}",
                hint=f"say its name: {verb} PROJECT",
            )
    name = project_name(typed)
    if name != typed:
        session.say(f"The name becomes {name}: lower case, without spaces.")
    return Project(home, name, project_path(home, name))


def _here(home: Home) -> str | None:
    """The project in whose folder, or below it, the command was typed."""
    try:
        here = Path.cwd()
    except OSError:  # it was removed meanwhile
        return None
    tops = [workspaces_directory(home)]
    with suppress(Ds01Error):  # a home, or the workspace in it, is often a link
        tops.append(Path(home.run(["realpath", "--", str(workspaces_directory(home))]).rstrip("\n")))
    for top in tops:
        if here != top and here.is_relative_to(top):
            name = here.relative_to(top).parts[0]
            return name if NAME_PATTERN.fullmatch(name) else None
    return None
