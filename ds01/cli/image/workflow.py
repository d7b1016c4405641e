"""From options to an image: write its source, then build it. For image-create and for commands that need an image."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from ds01 import __version__
from ds01.cli import catalogues
from ds01.cli.command.guide import explain
from ds01.cli.image import builder, wizard
from ds01.cli.image.options import ImageOptions, apt_packages, parse_image_name
from ds01.cli.session import Session
from ds01.cli.ui import prompts
from ds01.errors import Ds01Error, InvalidState, NotFound, UsageError
from ds01.images import dockerfile, source
from ds01.images.catalogue import CatalogueEntry
from ds01.images.dockerfile import ImagePlan
from ds01.images.packages import PackageSet, find_use_case
from ds01.images.requirement_text import decode_requirements
from ds01.images.requirements import Requirements, read_requirements, split_packages
from ds01.images.source import SourcePaths
from ds01.system.home import Home
from ds01.system.utf8 import expect_utf8


def complete_options(session: Session, options: ImageOptions, *, fetch: bool = True) -> ImageOptions:
    """Complete the options with a name and a base, by questions on a terminal. Raises UsageError without one.

    `fetch`: fetch a typed base image now, so that a wrong one can be corrected.
    """
    if options.name is None:
        if not session.interactive:
            raise UsageError("the image needs a name", hint="`image-create NAME --framework pytorch`")
        explain(session, "image")
        options = dataclasses.replace(
            options, name=prompts.ask_text("Name of the image", check=_new_name_check(session))
        )
    name = parse_image_name(options.name or "")
    if name != options.name:
        session.say(f"The name becomes {name}: lower case, without spaces.")
    options = dataclasses.replace(options, name=name)
    if options.has_base:
        return options
    if not session.interactive:
        raise UsageError(
            "no base image was named",
            hint=f"`image-create {name} --framework pytorch`, or `--base-image IMAGE`, or `--dockerfile FILE`",
        )
    _check_name_is_free(session, name)
    return wizard.ask_phases(session, options, fetch=fetch)


def write_source(session: Session, options: ImageOptions) -> SourcePaths:
    """Write the Dockerfile and its files. Raises InvalidState if there is one already."""
    home, name = session.home, options.name or ""
    if options.dockerfile is not None:
        path = _resolve_path(session, options.dockerfile)
        if not home.exists(path):
            raise _missing_file_error(path, "--dockerfile")
        return source.source_paths_at(path, name)
    sources = dockerfile.render_sources(_build_plan(session, options, home))
    place = source.source_paths(home, name, project=name if options.project_dockerfile else None)
    _check_name_is_free(session, name)
    if home.exists(place.dockerfile):
        raise _name_taken_error(name, place.dockerfile)
    source.write_source(home, place, sources)
    session.say(f"Wrote {place.dockerfile}.")
    return place


def find_framework(session: Session, text: str, architecture: str | None) -> CatalogueEntry:
    """Return the catalogue's entry for a framework. Raises NotFound, with a hint at --base-image."""
    try:
        return catalogues.choose(session, text, architecture)
    except NotFound as error:
        hint = error.hint and error.hint.replace("--image", "--base-image")
        raise NotFound(error.message, why=error.why, hint=hint) from None


def build(session: Session, name: str, place: SourcePaths, *, no_cache: bool = False) -> str:
    """Build the image `name` from its source; return its reference. Raises Ds01Error that says how to continue."""
    files = source.read_build_context(session.home, place)
    has_default_source = source.find_source(session.home, name) is not None
    retry_command = f"image-update {name} --rebuild" if has_default_source else f"image-create {name} --dockerfile FILE"
    continuation = f"{place.dockerfile} stays; `{retry_command}` builds it"
    try:
        return builder.build(session, name, place.dockerfile.name, files, at=place.dockerfile, no_cache=no_cache)
    except KeyboardInterrupt:
        session.warn(f"not built; {continuation}")
        raise
    except Ds01Error as error:
        hint = "\n".join(filter(None, (error.hint, continuation)))
        raise error.reworded(error.message, why=error.why, hint=hint) from error


def _build_plan(session: Session, options: ImageOptions, home: Home) -> ImagePlan:
    base, framework = options.base_image, None
    provides: tuple[str, ...] = ()
    if options.framework is not None:
        wanted = options.framework + (f"-{options.version}" if options.version else "")
        entry = find_framework(session, wanted, options.arch)
        base, framework = entry.image, entry.label
        provides = catalogues.frameworks().provides_of(entry.framework)
    assert base is not None
    sets = catalogues.package_sets()
    return ImagePlan(
        name=options.name or "",
        login=session.owner.login,
        uid=session.owner.uid,
        base=base,
        framework=framework,
        provides=provides,
        jupyter=options.jupyter is not False,
        base_packages=_base_packages(options.base_packages, sets.base),
        use_case=None if options.use_case in (None, "none") else find_use_case(sets, options.use_case or ""),
        packages=split_packages(options.packages),
        extra=None if options.requirements is None else requirements_in(session, home, options.requirements),
        system=apt_packages(options.system),
        created=session.now(),
        ds01_version=__version__,
        sets=sets,
        isolated=not options.no_build_isolation,
    )


def requirements_in(session: Session, home: Home, text: str) -> Requirements:
    """Read a requirements file and those that it includes. Raises UsageError."""
    path = _resolve_path(session, text)
    content = home.read(path)
    if content is None:
        raise _missing_file_error(path, "--requirements")

    def include(name: str) -> str | None:
        included = home.read(path.parent / name)
        return None if included is None else decode_requirements(included, name).text

    return read_requirements(decode_requirements(content, path.name).text, include)


def _base_packages(options: str | None, base: PackageSet) -> tuple[str, ...]:
    if options in (None, "default"):
        return base.requirements
    return () if options == "none" else split_packages([options or ""])


def _new_name_check(session: Session) -> Callable[[str], None]:
    """Return a check for a typed name: valid, and without a Dockerfile."""

    def check(text: str) -> None:
        try:
            _check_name_is_free(session, parse_image_name(text))
        except InvalidState as error:
            raise UsageError(error.message, why=error.why, hint=error.hint) from error

    return check


def _check_name_is_free(session: Session, name: str) -> None:
    place = source.find_source(session.home, name)
    if place is not None:
        raise _name_taken_error(name, place.dockerfile)


def _missing_file_error(path: Path, option: str) -> UsageError:
    hint = f"{option} FILE, relative to the current directory, or with ~/ to your home"
    return UsageError(f"there is no file {path}", why=f"{option} names it", hint=hint)


def _name_taken_error(name: str, path: Path) -> InvalidState:
    return InvalidState(
        f"there is already a Dockerfile for {name}",
        why=str(path),
        hint=f"`image-update {name}` changes it; `image-delete {name} --dockerfile` deletes it",
        code="name.taken",
    )


def _resolve_path(session: Session, text: str) -> Path:
    """Return the typed path; `~` is the owner's home."""
    if text == "~" or text.startswith("~/"):
        return Path(session.owner.home + text[1:])
    return Path(expect_utf8(str(Path.cwd() / text), "the path"))
