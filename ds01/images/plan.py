"""What an image shall have, and which packages come from where. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from ds01.engines.references import is_reference
from ds01.errors import UsageError
from ds01.images.packages import PackageSet, PackageSets
from ds01.images.requirement_lines import check_requirement, has_control_characters, requirement_name
from ds01.images.requirements import Requirements, without_provided
from ds01.policy.names import NAME_FORM, NAME_PATTERN

_APT_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+(=[A-Za-z0-9][A-Za-z0-9.+:~-]*)?", re.ASCII)


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
    def has_separate_step(self) -> bool:
        """Whether the user's requirements are installed in a step of their own, after all others."""
        return not self.isolated or (self.extra is not None and self.extra.has_options)


@dataclass(frozen=True)
class RequirementGroup:
    """Requirements under one heading, and those left out since the base image has them."""

    title: str
    lines: tuple[str, ...]
    left_out: tuple[str, ...] = ()


def check_plan(plan: ImagePlan) -> None:
    """Raises UsageError for what cannot stand in a Dockerfile or a requirements file."""
    require_image_name(plan.name)
    if not is_reference(plan.base):
        raise UsageError(f"{plan.base!r} is not an image name", why="it has the form [HOST/]NAME[:TAG], in lower case")
    for what, text in {"login": plan.login, "framework": plan.framework or "", "version": plan.ds01_version}.items():
        if has_control_characters(text):
            raise UsageError(f"the {what} {text!r} has a control character in it")
    check_apt_packages(plan.system)
    for requirement in (*plan.base_packages, *plan.packages):
        check_requirement(requirement)


def requirement_groups(plan: ImagePlan) -> list[RequirementGroup]:
    """What pip installs, by what it is for. The user's own words stand as they are; a set gives way to them, and to
    the base image.
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
    """The lines that are installed in a step of their own."""
    if not plan.has_separate_step:
        return ()
    return (*(() if plan.isolated else plan.packages), *(plan.extra.lines if plan.extra else ()))


def require_image_name(name: str) -> str:
    """The name of an image. Raises UsageError."""
    if not NAME_PATTERN.fullmatch(name):
        raise UsageError(f"{name!r} is not an image name", why=f"allowed: {NAME_FORM}")
    return name


def check_apt_packages(packages: Iterable[str]) -> None:
    """Raises UsageError for what is no package of apt."""
    for package in packages:
        if not _APT_PACKAGE.fullmatch(package):
            raise UsageError(
                f"{package!r} is not an apt package name",
                why="letters in lower case, digits, + - . and at most a version",
                hint="as ffmpeg, or ffmpeg=7:4.4.2-0ubuntu0.22.04.1",
            )
