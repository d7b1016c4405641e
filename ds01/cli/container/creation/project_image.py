"""The image that a project's pyproject.toml names, for a container without an image option."""

from __future__ import annotations

from pathlib import Path

from ds01.api.types import is_reference
from ds01.cli.session import Session
from ds01.dataclass import dataclass
from ds01.errors import Ds01Error
from ds01.projects import project_directory, project_file


@dataclass(frozen=True)
class ProjectImage:
    """The image, or else the framework, that the project file in `directory` names."""

    directory: Path
    image: str | None
    framework: str | None

    @property
    def file(self) -> Path:
        """The path of the project file."""
        return self.directory / project_file.FILE


def read_project_image(session: Session, project: str, workspace: str | None) -> ProjectImage | None:
    """Return the image that the project's file names; None if it names none, or cannot be read.

    `workspace`: the project's directory, if it is not the default.
    """
    try:
        home = session.home
        directory = project_directory.project_path(home, project) if workspace is None else Path(workspace)
        stored = project_file.read(home, directory)
    except Ds01Error:  # for example in another user's home or directory
        return None
    image = stored.get("image")
    if image is not None and not is_reference(image):
        session.warn(f"{directory / project_file.FILE} names '{image}', which is not an image name; it is not used.")
        image = None
    if image is not None or "framework" in stored:
        return ProjectImage(directory, image, None if image is not None else stored["framework"])
    return None
