"""What the options of image-update do to an image's source. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ds01.errors import NotFound
from ds01.images import dockerfile
from ds01.images import requirements as pip
from ds01.images.requirement_text import DecodedText, decode_requirements
from ds01.images.requirements import Requirements, extra_file
from ds01.images.source import SourcePaths


@dataclass(frozen=True)
class Changes:
    """Packages of pip to add and to remove, of apt to add, and what a requirements file asks for."""

    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    add_system: tuple[str, ...] = ()
    extra: Requirements | None = None
    isolated: bool = True  # False: pip builds what is added with what the image has

    @property
    def any(self) -> bool:
        """Whether there is anything to change."""
        return bool(self.add or self.remove or self.add_system or self.extra)


def changed(files: Mapping[str, bytes], image: str, place: SourcePaths, changes: Changes) -> dict[str, bytes]:
    """Return the files of an image's source, changed. Raises NotFound for a package to be removed that is not in them,
    WrongUse for what cannot stand there.
    """
    source, wanted, own_step = place.dockerfile.name, place.requirements.name, extra_file(image)
    before = {name: decode_requirements(files[name], name) for name in (wanted, own_step) if name in files}
    before[source] = DecodedText(files[source].decode("utf-8", "surrogateescape"), "utf-8", "surrogateescape")
    after = {name: decoded.text for name, decoded in before.items()}
    beside: dict[str, str] = {}
    if changes.remove:
        _remove(after, (wanted, own_step), image, changes.remove)
    there = pip.package_names(after.get(own_step, ""))
    in_own_step = [one for one in changes.add if not changes.isolated or pip.requirement_name(one) in there]
    others = [one for one in changes.add if one not in in_own_step]
    apart = changes.extra is not None and (not changes.isolated or changes.extra.has_options)
    if others or (changes.extra is not None and not apart):
        if wanted not in after:  # it was made without packages
            after[source] = dockerfile.add_requirements_step(after[source], image)
        after[wanted] = pip.add_packages(after.get(wanted, ""), others)
        if changes.extra is not None and not apart:
            after[wanted], beside = pip.merge_requirements(after[wanted], changes.extra, image)
    if in_own_step or apart:
        after[source] = dockerfile.add_extra_step(after[source], image, isolated=changes.isolated)
        after[own_step] = pip.add_packages(after.get(own_step, ""), in_own_step)
        if changes.extra is not None and apart:
            after[own_step], beside = pip.merge_requirements(after[own_step], changes.extra, image)
        if wanted in after:  # what both name would be installed twice
            after[wanted] = pip.remove_packages(after[wanted], pip.package_names(after[own_step]))[0]
    if changes.add_system:
        after[source] = dockerfile.add_system_packages(after[source], changes.add_system)
    # Only what was changed: the rest stays byte for byte.
    new = {name: text for name, text in after.items() if name not in before or text != before[name].text}
    encoded = {
        name: before[name].encode(text) if name in before else text.encode() for name, text in (new | beside).items()
    }
    return {**files, **encoded}


def _remove(texts: dict[str, str], places: tuple[str, ...], image: str, names: tuple[str, ...]) -> None:
    """Take packages out of the files that have them. Raises NotFound for those that none has."""
    missing = set(names)
    for place in places:
        if place in texts:
            texts[place], left = pip.remove_packages(texts[place], names)
            missing &= set(left)
    if missing:
        raise NotFound(
            f"{', '.join(repr(name) for name in names if name in missing)} is not among the packages of {image}",
            why=f"looked in {' and '.join(place for place in places if place in texts) or 'its Dockerfile'}",
        )
