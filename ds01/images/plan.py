"""What an image shall have, and which packages come from where. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from ds01.engines.references import well_formed
from ds01.errors import WrongUse
from ds01.images.packages import PackageSet, PackageSets
from ds01.images.requirement_lines import check, has_control, name_of
from ds01.images.requirements import Requirements, without
from ds01.policy.names import NAME, NAME_FORM

_SYSTEM = re.compile(r"[a-z0-9][a-z0-9+.-]+(=[A-Za-z0-9][A-Za-z0-9.+:~-]*)?", re.ASCII)


@dataclass(frozen=True)
class ImagePlan:
    """What an image shall have. `framework` is the catalogue's label, `provides` what its base has already;
    `base_packages` are those of data science, `packages`, `extra` and `system` what the user named.
    """

    name: str
    login: str
    uid: int
    base: str
    framework: str | None
    provides: tuple[str, ...]
    jupyter: bool
    base_packages: tuple[str, ...]
    use_case: PackageSet | None
    packages: tuple[str, ...]
    extra: Requirements | None
    system: tuple[str, ...]
    created: datetime
    ds01_version: str
    sets: PackageSets
    isolated: bool = True  # False: pip builds the user's packages with what the image has

    @property
    def extra_apart(self) -> bool:
        """Whether the user's requirements are installed in a step of their own, after all others."""
        return not self.isolated or (self.extra is not None and self.extra.has_options)


@dataclass(frozen=True)
class Group:
    """Requirements under one heading, and those left out since the base image has them."""

    title: str
    lines: tuple[str, ...]
    left_out: tuple[str, ...] = ()


def check_plan(plan: ImagePlan) -> None:
    """Raises WrongUse for what cannot stand in a Dockerfile or a requirements file."""
    checked_name(plan.name)
    if not well_formed(plan.base):
        raise WrongUse(f"{plan.base!r} is not an image name", why="it has the form [HOST/]NAME[:TAG], in lower case")
    for what, text in {"login": plan.login, "framework": plan.framework or "", "version": plan.ds01_version}.items():
        if has_control(text):
            raise WrongUse(f"the {what} {text!r} has a control character in it")
    check_system(plan.system)
    for requirement in (*plan.base_packages, *plan.packages):
        check(requirement)


def groups(plan: ImagePlan) -> list[Group]:
    """What pip installs, by what it is for. The user's own words stand as they are; a set gives way to them, and to
    the base image.
    """
    sets = [(plan.sets.jupyter.title, plan.sets.jupyter.requirements if plan.jupyter else ())]
    sets.append((plan.sets.base.title, plan.base_packages))
    if plan.use_case is not None:
        sets.append((plan.use_case.title, plan.use_case.requirements))
    extra = plan.extra.lines if plan.extra else ()
    taken = {name_of(line) for line in (*plan.packages, *extra)}
    found = []
    for title, requirements in sets:
        fresh = [one for one in requirements if name_of(one) not in taken]
        taken |= {name_of(one) for one in fresh}
        found.append(Group(title, *without(fresh, plan.provides)))
    if plan.isolated:
        found.append(Group("Your packages", plan.packages))
    if not plan.extra_apart:
        found.append(Group("From your requirements file", extra))
    found = [group for group in found if group.lines or group.left_out]
    return found if any(group.lines for group in found) else []


def apart(plan: ImagePlan) -> tuple[str, ...]:
    """The lines that are installed in a step of their own."""
    if not plan.extra_apart:
        return ()
    return (*(() if plan.isolated else plan.packages), *(plan.extra.lines if plan.extra else ()))


def checked_name(name: str) -> str:
    """The name of an image. Raises WrongUse."""
    if not NAME.fullmatch(name):
        raise WrongUse(f"{name!r} is not an image name", why=f"allowed: {NAME_FORM}")
    return name


def check_system(packages: Iterable[str]) -> None:
    """Raises WrongUse for what is no package of apt."""
    for package in packages:
        if not _SYSTEM.fullmatch(package):
            raise WrongUse(
                f"{package!r} is not an apt package name",
                why="letters in lower case, digits, + - . and at most a version",
                hint="as ffmpeg, or ffmpeg=7:4.4.2-0ubuntu0.22.04.1",
            )
