"""Applying the options of image-update to an image's source. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from ds01.dataclass import dataclass
from ds01.errors import NotFound
from ds01.images import dockerfile
from ds01.images import requirements as pip
from ds01.images.requirement_text import DecodedText, decode_requirements
from ds01.images.requirements import Requirements, extra_file
from ds01.images.source import SourcePaths


@dataclass(frozen=True)
class Changes:
    """The pip packages to add and remove, the apt packages to add, and a requirements file's content."""

    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    add_system: tuple[str, ...] = ()
    extra: Requirements | None = None
    isolated: bool = True  # False: pip builds added packages against those of the image

    @property
    def any(self) -> bool:
        """Return whether there is anything to change."""
        return bool(self.add or self.remove or self.add_system or self.extra)


def apply_changes(files: Mapping[str, bytes], image: str, place: SourcePaths, changes: Changes) -> dict[str, bytes]:
    """Return the changed files of an image's source.

    Raises NotFound if a package to remove is not in them, UsageError for an invalid package or file.
    """
    source, requirements_file, extra_step_file = place.dockerfile.name, place.requirements.name, extra_file(image)
    before = {
        name: decode_requirements(files[name], name) for name in (requirements_file, extra_step_file) if name in files
    }
    before[source] = DecodedText(files[source].decode("utf-8", "surrogateescape"), "utf-8", "surrogateescape")
    after = {name: decoded.text for name, decoded in before.items()}
    included_files: dict[str, str] = {}
    if changes.remove:
        _remove(after, (requirements_file, extra_step_file), image, changes.remove)
    own_step_names = pip.package_names(after.get(extra_step_file, ""))
    extra_step_requirements = [
        requirement
        for requirement in changes.add
        if not changes.isolated or pip.requirement_name(requirement) in own_step_names
    ]
    other_requirements = [requirement for requirement in changes.add if requirement not in extra_step_requirements]
    extra_is_separate = changes.extra is not None and (not changes.isolated or changes.extra.has_options)
    if other_requirements or (changes.extra is not None and not extra_is_separate):
        if requirements_file not in after:  # it was created without packages
            after[source] = dockerfile.add_requirements_step(after[source], image)
        after[requirements_file] = pip.add_packages(after.get(requirements_file, ""), other_requirements)
        if changes.extra is not None and not extra_is_separate:
            after[requirements_file], included_files = pip.merge_requirements(
                after[requirements_file], changes.extra, image
            )
    if extra_step_requirements or extra_is_separate:
        after[source] = dockerfile.add_extra_step(after[source], image, isolated=changes.isolated)
        after[extra_step_file] = pip.add_packages(after.get(extra_step_file, ""), extra_step_requirements)
        if changes.extra is not None and extra_is_separate:
            after[extra_step_file], included_files = pip.merge_requirements(
                after[extra_step_file], changes.extra, image
            )
        if requirements_file in after:  # packages in both files would be installed twice
            after[requirements_file] = pip.remove_packages(
                after[requirements_file], pip.package_names(after[extra_step_file])
            )[0]
    if changes.add_system:
        after[source] = dockerfile.add_system_packages(after[source], changes.add_system)
    # Encode only changed files: the others stay byte for byte.
    changed_texts = {name: text for name, text in after.items() if name not in before or text != before[name].text}
    encoded = {
        name: before[name].encode(text) if name in before else text.encode()
        for name, text in (changed_texts | included_files).items()
    }
    return {**files, **encoded}


def _remove(texts: dict[str, str], places: tuple[str, ...], image: str, names: tuple[str, ...]) -> None:
    """Remove packages from the files that have them. Raises NotFound for packages in none of the files."""
    missing = set(names)
    for place in places:
        if place in texts:
            texts[place], not_found = pip.remove_packages(texts[place], names)
            missing &= set(not_found)
    if missing:
        raise NotFound(
            f"{', '.join(repr(name) for name in names if name in missing)} is not among the packages of {image}",
            why=f"looked in {' and '.join(place for place in places if place in texts) or 'its Dockerfile'}",
        )
