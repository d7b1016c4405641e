"""Create a project's directory below ~/workspace, with the usual tree for data science."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path

from ds01.errors import Ds01Error, InvalidState, UsageError
from ds01.policy.names import NAME_FORM, NAME_PATTERN, parse_name
from ds01.projects.step_result import StepResult
from ds01.projects.templates import load_yaml
from ds01.system.home import Home

KEEP_FILE = ".gitkeep"  # git stores only files; an empty file keeps the directory


def project_name(text: str) -> str:
    """Return a project name from user input: lower case, spaces to `-`, as for containers. Raises UsageError."""
    return parse_name(text, "project name")


def is_project_name(name: str) -> bool:
    """Return whether a directory with that name can be a project's."""
    return NAME_PATTERN.fullmatch(name) is not None


def project_path(home: Home, project: str) -> Path:
    """Return a project's path. Raises UsageError for an invalid name, so that no path leads out of ~/workspace."""
    if NAME_PATTERN.fullmatch(project) is None:
        raise UsageError(f"invalid project name {project!r}", why=f"allowed: {NAME_FORM}")
    return workspaces_directory(home) / project


def workspaces_directory(home: Home) -> Path:
    """Return the directory of all projects."""
    return home.workspaces


def tree_directories() -> Mapping[str, str]:
    """Return the directories of a project, and the purpose of each."""
    return load_yaml("folders.yaml")


def create_project_directory(
    home: Home, project: str, *, blank: bool = False, folder: Path | None = None
) -> StepResult:
    """Create a project's directory, with the tree unless `blank`. `folder`: its path, if not below ~/workspace.

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
            f"the directory {path} cannot be created",
            why="that path, or one above it, is not a directory",
            hint="rename it, and try again",
        ) from error


def _add_keep_files(home: Home, directory: Path) -> None:
    for name in tree_directories():
        if not home.list(directory / name):
            home.write(directory / name / KEEP_FILE, "")
