"""The image that a project's pyproject.toml names, for a container that is given none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ds01.api.types import is_reference
from ds01.cli.session import Session
from ds01.errors import Ds01Error
from ds01.projects import project_directory, project_file


@dataclass(frozen=True)
class ProjectImage:
    """What the file in `folder` says: an image, or else a framework."""

    folder: Path
    image: str | None
    framework: str | None

    @property
    def file(self) -> Path:
        """Where it stands."""
        return self.folder / project_file.FILE


def read_project_image(session: Session, project: str, workspace: str | None) -> ProjectImage | None:
    """Return what the project's file says of its image; None if it says nothing, or cannot be read.

    `workspace`: the project's folder, if it is not the usual one.
    """
    try:
        home = session.home
        folder = project_directory.project_path(home, project) if workspace is None else Path(workspace)
        stored = project_file.read(home, folder)
    except Ds01Error:  # as in the home of somebody else, or in a folder that is not the owner's
        return None
    image = stored.get("image")
    if image is not None and not is_reference(image):
        session.warn(f"{folder / project_file.FILE} names '{image}', which is not an image name; it is not used.")
        image = None
    if image is not None or "framework" in stored:
        return ProjectImage(folder, image, None if image is not None else stored["framework"])
    return None
