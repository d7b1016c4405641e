"""A project's folder below ~/workspace, and the tree that data science is used to."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path

from ds01.errors import Ds01Error, InvalidState, UsageError
from ds01.policy.names import NAME_FORM, NAME_PATTERN, parse_name
from ds01.projects.step_result import StepResult
from ds01.projects.templates import load_yaml
from ds01.system.home import Home

KEEP_FILE = ".gitkeep"  # git knows files only; an empty one keeps the folder


def project_name(text: str) -> str:
    """A project's name from what was typed: lower case, spaces to `-`, as containers are called. Raises UsageError."""
    return parse_name(text, "project name")


def is_project_name(name: str) -> bool:
    """Whether a folder of that name can be a project's."""
    return NAME_PATTERN.fullmatch(name) is not None


def project_path(home: Home, project: str) -> Path:
    """Where a project lies. Raises UsageError for what is no name: nothing may lead out of ~/workspace."""
    if NAME_PATTERN.fullmatch(project) is None:
        raise UsageError(f"invalid project name {project!r}", why=f"allowed: {NAME_FORM}")
    return workspaces_directory(home) / project


def workspaces_directory(home: Home) -> Path:
    """The folder of all projects."""
    return home.workspaces


def tree_directories() -> Mapping[str, str]:
    """The folders of a project, and what each is for."""
    return load_yaml("folders.yaml")


def create_project_directory(
    home: Home, project: str, *, blank: bool = False, folder: Path | None = None
) -> StepResult:
    """Make a project's folder, unless `blank` with the tree in it. `folder`: not below ~/workspace but there.

    Raises InvalidState if a file is in the way, Ds01Error.
    """
    directory = project_path(home, project) if folder is None else folder
    created = {str(directory): _make_directory(home, directory)}
    if not blank:
        created |= {name: _make_directory(home, directory / name) for name in tree_directories()}
        _add_keep_files(home, directory)
    created_names = tuple(name for name, new in created.items() if new)
    return StepResult(created_names, tuple(name for name in created if name not in created_names))


def _make_directory(home: Home, path: Path) -> bool:
    try:
        return home.make_directory(path)
    except Ds01Error as error:
        if (error.data or {}).get("errno") not in (errno.EEXIST, errno.ENOTDIR):
            raise
        raise InvalidState(
            f"the folder {path} cannot be made",
            why="there is something else of that name, or above it, that is no folder",
            hint="rename it, and try again",
        ) from error


def _add_keep_files(home: Home, directory: Path) -> None:
    for name in tree_directories():
        if not home.list(directory / name):
            home.write(directory / name / KEEP_FILE, "")
