"""From what was asked to an image: its source is written, then built. For image-create, and for who needs an image."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from ds01 import __version__
from ds01.cli import ask, catalogues
from ds01.cli.guide import explain
from ds01.cli.image import building, wizard
from ds01.cli.image.asked import Asked, apt_packages, folded_name
from ds01.cli.session import Session
from ds01.errors import Ds01Error, NotFound, NotPossible, WrongUse
from ds01.images import dockerfile, source
from ds01.images.catalogue import CatalogueEntry
from ds01.images.dockerfile import ImagePlan
from ds01.images.packages import PackageSet, find_use_case
from ds01.images.requirement_text import decode_requirements
from ds01.images.requirements import Requirements, read_requirements, split_packages
from ds01.images.source import SourcePaths
from ds01.system.home import Home
from ds01.system.utf8 import expect_utf8


def complete(session: Session, asked: Asked, *, fetch: bool = True) -> Asked:
    """Return what was asked for with a name and a base: by questions on a terminal. Raises WrongUse without one.

    `fetch`: a base image that was typed is fetched now, so that a wrong one can be typed again.
    """
    if asked.name is None:
        if not session.interactive:
            raise WrongUse("the image needs a name", hint="`image-create NAME --framework pytorch`")
        explain(session, "image")
        asked = dataclasses.replace(asked, name=ask.text("Name of the image", check=_new_name(session)))
    name = folded_name(asked.name or "")
    if name != asked.name:
        session.say(f"The name becomes {name}: lower case, without spaces.")
    asked = dataclasses.replace(asked, name=name)
    if asked.has_base:
        return asked
    if not session.interactive:
        raise WrongUse(
            "what should the image be made from?", hint="--framework pytorch, --base-image IMAGE, or --dockerfile FILE"
        )
    _check_free(session, name)
    return wizard.phases(session, asked, fetch=fetch)


def write_source(session: Session, asked: Asked) -> SourcePaths:
    """Write the Dockerfile and what belongs to it. Raises NotPossible if there is one already."""
    home, name = session.home, asked.name or ""
    if asked.dockerfile is not None:
        path = _absolute(session, asked.dockerfile)
        if not home.exists(path):
            raise _no_file(path, "--dockerfile")
        return source.source_paths_at(path, name)
    sources = dockerfile.render_sources(_plan(session, asked, home))
    place = source.source_paths(home, name, project=name if asked.project_dockerfile else None)
    _check_free(session, name)
    if home.exists(place.dockerfile):
        raise _taken(name, place.dockerfile)
    source.write_source(home, place, sources)
    session.say(f"Wrote {place.dockerfile}.")
    return place


def entry_of(session: Session, text: str, architecture: str | None) -> CatalogueEntry:
    """Return the catalogue's row for a framework. Raises NotFound, with the option that takes any other image here."""
    try:
        return catalogues.choose(session, text, architecture)
    except NotFound as error:
        hint = error.hint and error.hint.replace("--image", "--base-image")
        raise NotFound(error.message, why=error.why, hint=hint) from None


def build(session: Session, name: str, place: SourcePaths, *, no_cache: bool = False) -> str:
    """Build the image `name` from its source; its reference. Raises Ds01Error, which says how to go on from there."""
    files = source.read_build_context(session.home, place)
    its_own = source.find_source(session.home, name) is not None
    again = f"image-update {name} --rebuild" if its_own else f"image-create {name} --dockerfile FILE"
    on = f"{place.dockerfile} stays; `{again}` builds it"
    try:
        return building.build(session, name, place.dockerfile.name, files, at=place.dockerfile, no_cache=no_cache)
    except KeyboardInterrupt:
        session.warn(f"not built; {on}")
        raise
    except Ds01Error as error:
        hint = "\n".join(filter(None, (error.hint, on)))
        raise error.reworded(error.message, why=error.why, hint=hint) from error


def _plan(session: Session, asked: Asked, home: Home) -> ImagePlan:
    base, framework = asked.base_image, None
    provides: tuple[str, ...] = ()
    if asked.framework is not None:
        wanted = asked.framework + (f"-{asked.version}" if asked.version else "")
        entry = entry_of(session, wanted, asked.arch)
        base, framework = entry.image, entry.label
        provides = catalogues.frameworks().provides_of(entry.framework)
    assert base is not None
    sets = catalogues.package_sets()
    return ImagePlan(
        name=asked.name or "",
        login=session.owner.login,
        uid=session.owner.uid,
        base=base,
        framework=framework,
        provides=provides,
        jupyter=asked.jupyter is not False,
        base_packages=_base_packages(asked.base_packages, sets.base),
        use_case=None if asked.use_case in (None, "none") else find_use_case(sets, asked.use_case or ""),
        packages=split_packages(asked.packages),
        extra=None if asked.requirements is None else requirements_in(session, home, asked.requirements),
        system=apt_packages(asked.system),
        created=session.now(),
        ds01_version=__version__,
        sets=sets,
        isolated=not asked.no_build_isolation,
    )


def requirements_in(session: Session, home: Home, text: str) -> Requirements:
    """What a requirements file asks for, with those that it includes. Raises WrongUse."""
    path = _absolute(session, text)
    content = home.read(path)
    if content is None:
        raise _no_file(path, "--requirements")

    def include(name: str) -> str | None:
        included = home.read(path.parent / name)
        return None if included is None else decode_requirements(included, name).text

    return read_requirements(decode_requirements(content, path.name).text, include)


def _base_packages(asked: str | None, base: PackageSet) -> tuple[str, ...]:
    if asked in (None, "default"):
        return base.requirements
    return () if asked == "none" else split_packages([asked or ""])


def _new_name(session: Session) -> Callable[[str], None]:
    """Return a check for a typed name: well formed, and without a Dockerfile so far."""

    def check(text: str) -> None:
        try:
            _check_free(session, folded_name(text))
        except NotPossible as error:
            raise WrongUse(error.message, why=error.why, hint=error.hint) from error

    return check


def _check_free(session: Session, name: str) -> None:
    place = source.find_source(session.home, name)
    if place is not None:
        raise _taken(name, place.dockerfile)


def _no_file(path: Path, option: str) -> WrongUse:
    hint = f"{option} FILE, from the folder in which you are, or with ~/ from your home"
    return WrongUse(f"there is no file {path}", why=f"{option} names it", hint=hint)


def _taken(name: str, path: Path) -> NotPossible:
    return NotPossible(
        f"there is a Dockerfile for {name} already",
        why=str(path),
        hint=f"`image-update {name}` changes it; `image-delete {name} --dockerfile` takes it away",
        code="name.taken",
    )


def _absolute(session: Session, text: str) -> Path:
    """A path as it was typed; `~` is the owner's home."""
    if text == "~" or text.startswith("~/"):
        return Path(session.owner.home + text[1:])
    return Path(expect_utf8(str(Path.cwd() / text), "the path"))
