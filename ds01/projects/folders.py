"""A project's folder below ~/workspace, and the tree that data science is used to."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path

from ds01.errors import Ds01Error, NotPossible, WrongUse
from ds01.policy.names import NAME, NAME_FORM, typed_name
from ds01.projects.steps import Step
from ds01.projects.texts import mapping
from ds01.system.home import Home

KEEP = ".gitkeep"  # git knows files only; an empty one keeps the folder


def project_name(text: str) -> str:
    """A project's name from what was typed: lower case, spaces to `-`, as containers are called. Raises WrongUse."""
    return typed_name(text, "project name")


def is_project_name(name: str) -> bool:
    """Whether a folder of that name can be a project's."""
    return NAME.fullmatch(name) is not None


def folder_of(home: Home, project: str) -> Path:
    """Where a project lies. Raises WrongUse for what is no name: nothing may lead out of ~/workspace."""
    if NAME.fullmatch(project) is None:
        raise WrongUse(f"{project!r} is not a project name", why=f"allowed: {NAME_FORM}")
    return workspace(home) / project


def workspace(home: Home) -> Path:
    """The folder of all projects."""
    return home.workspaces


def tree() -> Mapping[str, str]:
    """The folders of a project, and what each is for."""
    return mapping("folders.yaml")


def create(home: Home, project: str, *, blank: bool = False, folder: Path | None = None) -> Step:
    """Make a project's folder, unless `blank` with the tree in it. `folder`: not below ~/workspace but there.

    Raises NotPossible if a file is in the way, Ds01Error.
    """
    top = folder_of(home, project) if folder is None else folder
    is_new = {str(top): _make(home, top)}
    if not blank:
        is_new |= {name: _make(home, top / name) for name in tree()}
        _keep_empty_ones(home, top)
    made = tuple(name for name, new in is_new.items() if new)
    return Step(made, tuple(name for name in is_new if name not in made))


def _make(home: Home, path: Path) -> bool:
    try:
        return home.make_folder(path)
    except Ds01Error as error:
        if (error.data or {}).get("errno") not in (errno.EEXIST, errno.ENOTDIR):
            raise
        raise NotPossible(
            f"the folder {path} cannot be made",
            why="there is something else of that name, or above it, that is no folder",
            hint="rename it, and try again",
        ) from error


def _keep_empty_ones(home: Home, top: Path) -> None:
    for name in tree():
        if not home.list(top / name):
            home.write(top / name / KEEP, "")
