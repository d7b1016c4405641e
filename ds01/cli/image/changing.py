"""What the options of image-update do to an image's source. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ds01.errors import NotFound
from ds01.images import dockerfile
from ds01.images import requirements as pip
from ds01.images.requirements import Requirements
from ds01.images.source import Source


@dataclass(frozen=True)
class Changes:
    """Packages of pip to add and to remove, of apt to add, and what a requirements file asks for."""

    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    add_system: tuple[str, ...] = ()
    extra: Requirements | None = None

    @property
    def any(self) -> bool:
        """Whether there is anything to change."""
        return bool(self.add or self.remove or self.add_system or self.extra)


def changed(files: Mapping[str, bytes], image: str, place: Source, changes: Changes) -> dict[str, bytes]:
    """The files of an image's source, changed. Raises NotFound for a package to be removed that is not in them,
    WrongUse for what cannot stand there.
    """
    after = {name: content.decode("utf-8", "replace") for name, content in files.items() if name in _own(place)}
    source, wanted = place.dockerfile.name, place.requirements.name
    if changes.add or changes.remove or changes.extra:
        if wanted not in after:  # it was made without packages
            after[source] = dockerfile.add_requirements(after[source], image)
        text, missing = pip.remove(after.get(wanted, ""), changes.remove)
        if missing:
            raise NotFound(
                f"{', '.join(map(repr, missing))} is not among the packages of {image}",
                why=f"looked in {place.requirements}",
            )
        after[wanted] = pip.add(text, changes.add)
        if changes.extra is not None:
            after[wanted], beside = pip.merge(after[wanted], changes.extra, image)
            after |= beside
    if changes.add_system:
        after[source] = dockerfile.add_system(after[source], changes.add_system)
    # Only what was changed: what else is in the context may be no text.
    return {**files, **{name: text.encode() for name, text in after.items() if text != _text(files.get(name))}}


def _own(place: Source) -> tuple[str, str]:
    return place.dockerfile.name, place.requirements.name


def _text(content: bytes | None) -> str | None:
    return None if content is None else content.decode("utf-8", "replace")
