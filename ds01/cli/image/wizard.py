"""What image-create asks on a terminal: four phases, then what else. What options said is not asked again."""

from __future__ import annotations

import dataclasses

from ds01.cli import ask, catalogues
from ds01.cli.guide import explain
from ds01.cli.image.asked import Asked, apt_packages
from ds01.cli.pulling import fetch_typed
from ds01.cli.session import Session
from ds01.engines.references import is_reference
from ds01.errors import NotFound, WrongUse
from ds01.images.catalogue import find_entry, versions_for
from ds01.images.packages import PackageSet
from ds01.images.plan import check_apt_packages
from ds01.images.requirements import split_packages


def phases(session: Session, asked: Asked, *, fetch: bool = True) -> Asked:
    """Ask the four phases, each under its heading, and for the packages that no phase knows.

    `fetch`: a base image that was typed is fetched at the end; one that cannot be is asked for again.
    """
    typed = asked.base_image is None
    for number, (title, phase) in enumerate(
        {
            "Framework": _framework,
            "Jupyter": _jupyter,
            "Data science": _base_packages,
            "Use case": _use_case,
        }.items(),
        1,
    ):
        session.say(f"\nPhase {number}/4  {title}")
        before, asked = asked, phase(session, asked)
        if asked == before:
            session.say("  as you said")
    session.say("\nAnything else?")
    asked = _more(asked)
    if typed and fetch and asked.base_image is not None:
        asked = dataclasses.replace(asked, base_image=fetch_typed(session, asked.base_image))
    return asked


def _framework(session: Session, asked: Asked) -> Asked:
    explain(session, "framework")
    catalogue = catalogues.frameworks()
    wanted = (asked.arch,) if asked.arch is not None else catalogues.architectures(session)
    names = catalogues.fitting_frameworks(session, asked.arch)
    chosen = ask.choose("What should it be made from?", [*names, "another image, by its name"])
    if chosen == len(names):
        return dataclasses.replace(asked, base_image=ask.text("Image", check=_well_formed))
    name = names[chosen]
    newest = find_entry(catalogue, name, *wanted)

    def known(version: str) -> None:
        try:
            find_entry(catalogue, f"{name}-{version}", *wanted)
        except NotFound as error:
            raise WrongUse(error.message, why=error.why) from error

    versions = versions_for(catalogue, name, *wanted)
    session.say(f"  versions: {', '.join(versions[:8])}{', …' if len(versions) > 8 else ''}")
    version = ask.text("Version", default=newest.version, check=known)
    has = catalogue.provides_of(name)
    if has:
        session.say(f"  It has {', '.join(has)} already.")
    return dataclasses.replace(asked, framework=name, version=version)


def _jupyter(session: Session, asked: Asked) -> Asked:
    if asked.jupyter is not None:
        return asked
    explain(session, "jupyter")
    _show(session, catalogues.package_sets().jupyter)
    return dataclasses.replace(asked, jupyter=ask.confirm("Install Jupyter?", default=True))


def _base_packages(session: Session, asked: Asked) -> Asked:
    if asked.base_packages is not None:
        return asked
    explain(session, "packages")
    base = catalogues.package_sets().base
    _show(session, base)
    chosen = ask.choose("Install these?", ["all of them", "none", "only some, by their names"])
    if chosen < 2:
        return dataclasses.replace(asked, base_packages=("default", "none")[chosen])
    return dataclasses.replace(asked, base_packages=ask.text("Which", check=_requirements) or "none")


def _use_case(session: Session, asked: Asked) -> Asked:
    if asked.use_case is not None:
        return asked
    cases = catalogues.package_sets().use_cases
    chosen = ask.choose("What is it for?", ["nothing special", *(f"{one.title}: {one.summary}" for one in cases)])
    return dataclasses.replace(asked, use_case="none" if chosen == 0 else cases[chosen - 1].key)


def _more(asked: Asked) -> Asked:
    if not asked.packages:
        packages = ask.text("More pip packages, as pandas>=2.0 tqdm (Enter: none)", default="", check=_requirements)
        asked = dataclasses.replace(asked, packages=(packages,) if packages else ())
    if not asked.system:
        system = ask.text("More apt packages, as ffmpeg (Enter: none)", default="", check=_apt_packages)
        asked = dataclasses.replace(asked, system=(system,) if system else ())
    return asked


def _show(session: Session, packages: PackageSet) -> None:
    session.say(f"  {', '.join(packages.requirements)}")


def _requirements(text: str) -> None:
    split_packages([text])


def _apt_packages(text: str) -> None:
    check_apt_packages(apt_packages((text,)))


def _well_formed(reference: str) -> None:
    if not is_reference(reference):
        raise WrongUse(f"'{reference}' is not an image name", why="it has the form [HOST/]NAME[:TAG], in lower case")
