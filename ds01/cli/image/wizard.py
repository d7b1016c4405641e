"""The questions of image-create on a terminal: four phases, then more packages. Given options are not asked for."""

from __future__ import annotations

import dataclasses

from ds01.api.types import is_reference
from ds01.cli import catalogues
from ds01.cli.command.guide import explain
from ds01.cli.image.options import ImageOptions, apt_packages
from ds01.cli.image_pull import pull_typed
from ds01.cli.session import Session
from ds01.cli.ui import prompts
from ds01.errors import NotFound, UsageError
from ds01.images.catalogue import find_entry, versions_for
from ds01.images.packages import PackageSet
from ds01.images.plan import check_apt_packages
from ds01.images.requirements import split_packages


def ask_phases(session: Session, options: ImageOptions, *, fetch: bool = True) -> ImageOptions:
    """Ask the questions of the four phases, then for more packages.

    `fetch`: fetch a typed base image at the end, and ask again if that fails.
    """
    base_is_asked = options.base_image is None
    for number, (title, phase) in enumerate(
        {
            "Framework": _ask_framework,
            "Jupyter": _ask_jupyter,
            "Data science": _ask_base_packages,
            "Use case": _ask_use_case,
        }.items(),
        1,
    ):
        session.say(f"\nPhase {number}/4  {title}")
        previous, options = options, phase(session, options)
        if options == previous:
            session.say("  as given")
    session.say("\nAnything else?")
    options = _ask_more_packages(options)
    if base_is_asked and fetch and options.base_image is not None:
        options = dataclasses.replace(options, base_image=pull_typed(session, options.base_image))
    return options


def _ask_framework(session: Session, options: ImageOptions) -> ImageOptions:
    explain(session, "framework")
    catalogue = catalogues.frameworks()
    architectures = (options.arch,) if options.arch is not None else catalogues.architectures(session)
    names = catalogues.fitting_frameworks(session, options.arch)
    chosen = prompts.choose("What should it be based on?", [*names, "another image, by its name"])
    if chosen == len(names):
        return dataclasses.replace(options, base_image=prompts.ask_text("Image", check=_check_image_name))
    name = names[chosen]
    newest = find_entry(catalogue, name, *architectures)

    def check_version(version: str) -> None:
        try:
            find_entry(catalogue, f"{name}-{version}", *architectures)
        except NotFound as error:
            raise UsageError(error.message, why=error.why) from error

    versions = versions_for(catalogue, name, *architectures)
    session.say(f"  versions: {', '.join(versions[:8])}{', …' if len(versions) > 8 else ''}")
    version = prompts.ask_text("Version", default=newest.version, check=check_version)
    provided = catalogue.provides_of(name)
    if provided:
        session.say(f"  It already has {', '.join(provided)}.")
    return dataclasses.replace(options, framework=name, version=version)


def _ask_jupyter(session: Session, options: ImageOptions) -> ImageOptions:
    if options.jupyter is not None:
        return options
    explain(session, "jupyter")
    _show_packages(session, catalogues.package_sets().jupyter)
    return dataclasses.replace(options, jupyter=prompts.confirm("Install Jupyter?", default=True))


def _ask_base_packages(session: Session, options: ImageOptions) -> ImageOptions:
    if options.base_packages is not None:
        return options
    explain(session, "packages")
    base = catalogues.package_sets().base
    _show_packages(session, base)
    chosen = prompts.choose("Install these?", ["all of them", "none", "only some, by their names"])
    if chosen < 2:
        return dataclasses.replace(options, base_packages=("default", "none")[chosen])
    return dataclasses.replace(options, base_packages=prompts.ask_text("Which", check=_check_requirements) or "none")


def _ask_use_case(session: Session, options: ImageOptions) -> ImageOptions:
    if options.use_case is not None:
        return options
    cases = catalogues.package_sets().use_cases
    chosen = prompts.choose(
        "What is it for?", ["nothing special", *(f"{case.title}: {case.summary}" for case in cases)]
    )
    return dataclasses.replace(options, use_case="none" if chosen == 0 else cases[chosen - 1].key)


def _ask_more_packages(options: ImageOptions) -> ImageOptions:
    if not options.packages:
        packages = prompts.ask_text(
            "More pip packages, such as pandas>=2.0 tqdm (Enter: none)", default="", check=_check_requirements
        )
        options = dataclasses.replace(options, packages=(packages,) if packages else ())
    if not options.system:
        system = prompts.ask_text(
            "More apt packages, such as ffmpeg (Enter: none)", default="", check=_check_apt_packages
        )
        options = dataclasses.replace(options, system=(system,) if system else ())
    return options


def _show_packages(session: Session, packages: PackageSet) -> None:
    session.say(f"  {', '.join(packages.requirements)}")


def _check_requirements(text: str) -> None:
    split_packages([text])


def _check_apt_packages(text: str) -> None:
    check_apt_packages(apt_packages((text,)))


def _check_image_name(reference: str) -> None:
    if not is_reference(reference):
        raise UsageError(f"'{reference}' is not an image name", why="it has the form [HOST/]NAME[:TAG], in lower case")
