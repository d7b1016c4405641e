"""Locate, write and read an image's Dockerfile and requirements file, and collect the build context."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from ds01.dataclass import dataclass
from ds01.errors import InvalidState, NotFound, UsageError
from ds01.images import ignore
from ds01.images.buildkit import check_classic
from ds01.images.context import WHOLE_DIRECTORY, copied_paths
from ds01.images.context_files import read_context_files
from ds01.images.dockerfile import SourceTexts
from ds01.images.instructions import parse_instructions
from ds01.images.requirements import constraints_file, extra_file, requirements_file
from ds01.policy.names import NAME_FORM, NAME_PATTERN
from ds01.system.home import Home

_IMAGE_LABEL = re.compile(r'(?:^|\s)ds01\.image="?([a-z0-9_-]+)"?(?:\s|$)')


@dataclass(frozen=True)
class SourcePaths:
    """The paths of the two files, in one directory. The requirements file may be missing."""

    dockerfile: Path
    requirements: Path

    @property
    def folder(self) -> Path:
        """The directory from which a build may copy."""
        return self.dockerfile.parent


def source_paths(home: Home, name: str, project: str | None = None) -> SourcePaths:
    """Return where an image's source belongs: `~/dockerfiles`, or the project's directory. Raises UsageError.

    The requirements file has the image's name in both, since a project may have a requirements.txt of its own.
    """
    _check_name(name)
    if project is None:
        return source_paths_at(home.path / "dockerfiles" / f"{name}.Dockerfile", name)
    _check_name(project)
    return source_paths_at(home.path / "workspace" / project / "Dockerfile", name)


def source_paths_at(dockerfile: Path, name: str | None = None) -> SourcePaths:
    """Return the source with this Dockerfile.

    `name` defaults to the file's name, or to the directory's name for a plain `Dockerfile`.
    """
    if name is None:
        name = dockerfile.name.removesuffix(".Dockerfile")
        name = dockerfile.parent.name if name == "Dockerfile" else name
    return SourcePaths(dockerfile, dockerfile.with_name(requirements_file(name)))


def find_source(home: Home, name: str, project: str | None = None) -> SourcePaths | None:
    """Find the source of an image: in the given project, else in `~/dockerfiles`, else in a project by its label.

    The label is `ds01.image` in the project's Dockerfile.
    """
    if project is not None:
        source = source_paths(home, name, project)
        return source if home.exists(source.dockerfile) else None
    if not NAME_PATTERN.fullmatch(name):  # such as an image that was tagged by hand
        return None
    source = source_paths(home, name)
    if home.exists(source.dockerfile):
        return source
    projects = [candidate for candidate in home.list(home.path / "workspace") if NAME_PATTERN.fullmatch(candidate)]
    for candidate in sorted(projects, key=lambda found: found != name):
        source = source_paths(home, name, candidate)
        text = home.read_text(source.dockerfile) if home.exists(source.dockerfile) else None
        if text is not None and _image_label(text) == name:
            return source
    return None


def find_all_sources(home: Home) -> dict[str, SourcePaths]:
    """Return the sources of all images by name: in `~/dockerfiles`, and in projects by the Dockerfile's label."""
    suffix = ".Dockerfile"
    files = home.list(home.path / "dockerfiles")
    names = [file.removesuffix(suffix) for file in files if file.endswith(suffix)]
    found = {name: source_paths(home, name) for name in names if NAME_PATTERN.fullmatch(name)}
    for project in home.list(home.path / "workspace"):
        if not NAME_PATTERN.fullmatch(project):
            continue
        source = source_paths(home, project, project)
        text = home.read_text(source.dockerfile) if home.exists(source.dockerfile) else None
        name = None if text is None else _image_label(text)
        if name is not None and NAME_PATTERN.fullmatch(name):
            found.setdefault(name, source_paths(home, name, project))
    return found


def write_source(home: Home, source: SourcePaths, sources: SourceTexts, *, replace: bool = False) -> None:
    """Write the files, the Dockerfile last. Raises InvalidState if one exists and `replace` is false."""
    if not replace and home.exists(source.dockerfile):
        raise InvalidState(f"the Dockerfile exists already: {source.dockerfile}", code="name.taken")
    for name, text in sources.files.items():
        home.write(source.folder / name, text)
    if sources.requirements is not None:
        home.write(source.requirements, sources.requirements)
    home.write(source.dockerfile, sources.dockerfile)


def read_build_context(home: Home, source: SourcePaths, *, dockerfile: bytes | None = None) -> dict[str, bytes]:
    """Return all files of a build, by path relative to the Dockerfile's directory. Raises NotFound, UsageError.

    These are the Dockerfile (or `dockerfile` instead), the requirements file if it exists, and what the Dockerfile
    copies.
    """
    if dockerfile is None:
        dockerfile = home.read(source.dockerfile)
    if dockerfile is None:
        raise NotFound(f"the Dockerfile {source.dockerfile} does not exist", hint="image-create creates one")
    text = dockerfile.decode("utf-8", "replace")
    check_classic(text)
    ignore_text = _ignore_text(home, source)
    names = dict.fromkeys(copied_paths(text, allow_whole=ignore_text is not None))
    if home.exists(source.requirements):
        names[source.requirements.name] = None
    if WHOLE_DIRECTORY in names and home.exists(source.folder / ignore.IGNORE_FILE):
        names[ignore.IGNORE_FILE] = None  # Docker itself excludes it and the Dockerfile if it lists them
    # ds01's own files are needed, whatever a .dockerignore says.
    ds01_files = tuple(path.name for path in source_files(source))
    found = read_context_files(
        home.account,
        source.folder,
        tuple(names),
        ignore_text=ignore_text or "",
        always=(*ds01_files, ignore.IGNORE_FILE),
    )
    return {**found, source.dockerfile.name: dockerfile}


def _ignore_text(home: Home, source: SourcePaths) -> str | None:
    """Return the text of the `.dockerignore` for a Dockerfile: its own, else the directory's; None without one."""
    for name in (f"{source.dockerfile.name}{ignore.IGNORE_FILE}", ignore.IGNORE_FILE):
        text = home.read_text(source.folder / name)
        if text is not None:
            return text
    return None


def source_files(source: SourcePaths) -> tuple[Path, ...]:
    """Return the paths of the files that ds01 writes for an image, existing or not."""
    name = source.requirements.name.removesuffix(requirements_file(""))
    others = (constraints_file(name), extra_file(name))
    return source.dockerfile, source.requirements, *(source.folder / other for other in others)


def context_digest(context: Mapping[str, bytes]) -> str:
    """Return a digest of a context: SHA-256 of all names and contents, in hex."""
    hasher = hashlib.sha256()
    for name in sorted(context):
        for part in (name.encode("utf-8", "surrogateescape"), context[name]):
            hasher.update(b"%d:" % len(part))
            hasher.update(part)
    return hasher.hexdigest()


def _check_name(name: str) -> None:
    if not NAME_PATTERN.fullmatch(name):
        raise UsageError(f"{name!r} is not a valid name", why=f"allowed: {NAME_FORM}")


def _image_label(text: str) -> str | None:
    """Return the label `ds01.image` of a Dockerfile that ds01 wrote, or None."""
    for instruction in parse_instructions(text):
        found = _IMAGE_LABEL.search(instruction.rest) if instruction.word == "LABEL" else None
        if found is not None:
            return found[1]
    return None
