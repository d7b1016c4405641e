"""The catalogues that ds01 ships, loaded when a command needs them: frameworks, and packages for images."""

from __future__ import annotations

from functools import cache

from ds01.cli.session import Session
from ds01.images.catalogue import Catalogue, architecture_of, load
from ds01.images.packages import PackageSets
from ds01.images.packages import load as load_packages
from ds01.system.settings import config_file


@cache
def frameworks() -> Catalogue:
    """The frameworks that ds01 knows, the server's own first."""
    return load(config_file("images.yaml"))


@cache
def package_sets() -> PackageSets:
    """The sets of packages that an image can be given."""
    return load_packages(config_file("packages.yaml"))


def architecture(session: Session) -> str | None:
    """What the server's GPUs are, if they are all of one architecture."""
    found = {architecture_of(model) for model in session.asking.gpu_models(session.actor)}
    return found.pop() if len(found) == 1 else None
