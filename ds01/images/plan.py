"""The plan of an image: its content, and where each package comes from. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

from ds01.dataclass import dataclass
from ds01.engines.references import is_reference
from ds01.errors import UsageError
from ds01.images.packages import PackageSet, PackageSets
from ds01.images.requirement_lines import check_requirement, has_control_characters, requirement_name
from ds01.images.requirements import Requirements, without_provided
from ds01.policy.names import NAME_FORM, NAME_PATTERN

_APT_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+(=[A-Za-z0-9][A-Za-z0-9.+:~-]*)?", re.ASCII)


@dataclass(frozen=True)
class ImagePlan:
    """The content of an image.

    `framework` is the catalogue's label, `provides` the packages in its base; `base_packages` are those for data
    science; `packages`, `extra` and `system` are the user's.
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
    isolated: bool = True  # False: pip builds the user's packages with the image's packages

    @property
    def has_separate_step(self) -> bool:
        """Whether the user's requirements are installed in a separate step, after all others."""
        return not self.isolated or (self.extra is not None and self.extra.has_options)


@dataclass(frozen=True)
class RequirementGroup:
    """Requirements under one heading, and those left out because the base image has them."""

    title: str
    lines: tuple[str, ...]
    left_out: tuple[str, ...] = ()


def check_plan(plan: ImagePlan) -> None:
    """Check values for the Dockerfile and the requirements file. Raises UsageError."""
    require_image_name(plan.name)
    if not is_reference(plan.base):
        raise UsageError(f"{plan.base!r} is not an image name", why="it has the form [HOST/]NAME[:TAG], in lower case")
    for what, text in {"login": plan.login, "framework": plan.framework or "", "version": plan.ds01_version}.items():
        if has_control_characters(text):
            raise UsageError(f"the {what} {text!r} contains a control character")
    check_apt_packages(plan.system)
    for requirement in (*plan.base_packages, *plan.packages):
        check_requirement(requirement)


def requirement_groups(plan: ImagePlan) -> list[RequirementGroup]:
    """Return what pip installs, grouped by purpose.

    The user's requirements are kept as written; packages of a set are left out if the user or the base image has them.
    """
    sets = [(plan.sets.jupyter.title, plan.sets.jupyter.requirements if plan.jupyter else ())]
    sets.append((plan.sets.base.title, plan.base_packages))
    if plan.use_case is not None:
        sets.append((plan.use_case.title, plan.use_case.requirements))
    extra = plan.extra.lines if plan.extra else ()
    seen_names = {requirement_name(line) for line in (*plan.packages, *extra)}
    result = []
    for title, requirements in sets:
        new_requirements = [
            requirement for requirement in requirements if requirement_name(requirement) not in seen_names
        ]
        seen_names |= {requirement_name(requirement) for requirement in new_requirements}
        result.append(RequirementGroup(title, *without_provided(new_requirements, plan.provides)))
    if plan.isolated:
        result.append(RequirementGroup("Your packages", plan.packages))
    if not plan.has_separate_step:
        result.append(RequirementGroup("From your requirements file", extra))
    result = [group for group in result if group.lines or group.left_out]
    return result if any(group.lines for group in result) else []


def separate_requirements(plan: ImagePlan) -> tuple[str, ...]:
    """Return the lines that are installed in a separate step."""
    if not plan.has_separate_step:
        return ()
    return (*(() if plan.isolated else plan.packages), *(plan.extra.lines if plan.extra else ()))


def require_image_name(name: str) -> str:
    """Return the name of an image. Raises UsageError if it is invalid."""
    if not NAME_PATTERN.fullmatch(name):
        raise UsageError(f"{name!r} is not an image name", why=f"allowed: {NAME_FORM}")
    return name


def check_apt_packages(packages: Iterable[str]) -> None:
    """Check the names of apt packages. Raises UsageError."""
    for package in packages:
        if not _APT_PACKAGE.fullmatch(package):
            raise UsageError(
                f"{package!r} is not an apt package name",
                why="lower-case letters, digits, + - . and optionally a version",
                hint="for example ffmpeg, or ffmpeg=7:4.4.2-0ubuntu0.22.04.1",
            )
