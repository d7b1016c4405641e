"""The catalogues that ds01 ships, loaded when a command needs them: frameworks, and packages for images."""

from __future__ import annotations

from functools import cache

from ds01.api.server import GetGpuModels
from ds01.cli.session import Session
from ds01.images import catalogue
from ds01.images.catalogue import Catalogue, CatalogueEntry, architecture_of, find_entry, is_framework, load_catalogue
from ds01.images.packages import PackageSets
from ds01.images.packages import load_package_sets as load_packages
from ds01.system.settings import config_file


@cache
def frameworks() -> Catalogue:
    """Return the catalogue of frameworks; a file of the server replaces the shipped one."""
    return load_catalogue(config_file("images.yaml"))


@cache
def package_sets() -> PackageSets:
    """Return the sets of packages for images."""
    return load_packages(config_file("packages.yaml"))


def architectures(session: Session) -> tuple[str, ...]:
    """Return the architectures of the server's GPUs, each once; GPUs of an unknown one are left out."""
    found = (architecture_of(model) for model in session.run(GetGpuModels()))
    return tuple(dict.fromkeys(architecture for architecture in found if architecture is not None))


def fitting_frameworks(session: Session, architecture: str | None = None) -> tuple[str, ...]:
    """Return the frameworks that have an image for `architecture`, by default for the server's GPUs.

    If the GPUs are unknown: the frameworks with an image for NVIDIA GPUs, since ds01 leases no others.
    """
    wanted = architectures(session) if architecture is None else (architecture,)
    return catalogue.frameworks_for(frameworks(), *wanted) if wanted else catalogue.frameworks_for_cuda(frameworks())


def is_known(text: str) -> bool:
    """Return whether a text names a framework of the catalogue, with or without a version."""
    return is_framework(frameworks(), text)


def find(session: Session, text: str, *, for_these_gpus: bool = True) -> CatalogueEntry:
    """Return the catalogue entry for a framework. Raises NotFound."""
    return find_entry(frameworks(), text, *(architectures(session) if for_these_gpus else ()))


def choose(session: Session, text: str, architecture: str | None = None) -> CatalogueEntry:
    """Return the entry for a framework, and print the reason of the choice if the GPUs differ. Raises NotFound.

    `architecture`: used in place of the server's.
    """
    wanted = architectures(session) if architecture is None else (architecture,)
    entry = find_entry(frameworks(), text, *wanted)
    why = catalogue.explain_choice(entry, *wanted)
    if why is not None:
        session.say(why)
    return entry
