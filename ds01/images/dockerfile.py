"""The Dockerfile of an image of the user's, and the requirements file beside it. Pure functions over text.

Nothing that was typed can become an instruction: it is checked against a pattern or quoted, and a line break refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ds01.errors import WrongUse
from ds01.images import blocks
from ds01.images.blocks import FIRST, LAST
from ds01.images.instructions import instructions
from ds01.images.plan import Group, ImagePlan, apart, check_plan, check_system, checked_name, groups
from ds01.images.requirements import constraints_file, extra_file

__all__ = ["ImagePlan", "Sources", "add_extra", "add_requirements", "add_system", "base_of", "system_of", "write"]


@dataclass(frozen=True)
class Sources:
    """The texts that an image is built from: the Dockerfile, NAME.requirements.txt, other files beside it by name."""

    dockerfile: str
    requirements: str | None
    files: Mapping[str, str] = field(default_factory=dict)


def write(plan: ImagePlan) -> Sources:
    """The Dockerfile of a plan, and what it copies. Raises WrongUse for what cannot stand there."""
    check_plan(plan)
    to_install, own_step = groups(plan), apart(plan)
    system = (*plan.sets.system, *(plan.use_case.system if plan.use_case else ()), *plan.system)
    parts = (
        blocks.header(plan),
        blocks.base(plan),
        "WORKDIR /workspace",
        blocks.system_block(system),
        blocks.pip_block(plan.name) if to_install else "",
        blocks.extra_block(plan.name, isolated=plan.isolated) if own_step else "",
        blocks.jupyter_block(plan) if plan.jupyter else "",
        blocks.environment(),
        blocks.labels(plan),
        'CMD ["/bin/bash"]',
    )
    text = "\n\n".join(part for part in parts if part) + "\n"
    constraints = plan.extra.constraints if plan.extra and (own_step or to_install) else ()
    files = {constraints_file(plan.name): "".join(f"{line}\n" for line in constraints)} if constraints else {}
    if own_step:
        files[extra_file(plan.name)] = _extra(plan.name, own_step, constrained=bool(constraints))
    if not to_install:
        return Sources(text, None, files)
    return Sources(text, _requirements(plan.name, to_install, constrained=bool(constraints) and not own_step), files)


def base_of(text: str) -> str | None:
    """The image that a Dockerfile begins from; None if it says none, or only by a variable."""
    for instruction in instructions(text):
        if instruction.word == "FROM":
            words = [word for word in instruction.rest.split() if not word.startswith("--")]
            return words[0] if words and "$" not in words[0] else None
    return None


def system_of(text: str) -> tuple[str, ...]:
    """The packages of apt in the block that ds01 wrote; none if it is not there."""
    lines = text.splitlines()
    marks = _marks(lines)
    if marks is None:
        return ()
    named = (line.strip().removesuffix("\\").strip() for line in lines[marks[0] + 1 : marks[1]])
    return tuple(name for name in named if name and not name.startswith("#"))


def add_system(text: str, packages: Iterable[str]) -> str:
    """The Dockerfile with these packages of apt too; another version of one takes its place. Raises WrongUse."""
    packages = tuple(packages)
    check_system(packages)
    lines = text.splitlines(keepends=True)
    marks = _marks([line.rstrip("\r\n") for line in lines])
    if marks is None:
        raise WrongUse(
            "the Dockerfile has no block of system packages that ds01 wrote",
            why=f"it stands between the lines '{FIRST}' and '{LAST}'",
            hint="add a line by hand: RUN apt-get update && apt-get install -y PACKAGE",
        )
    return "".join([*lines[: marks[0] + 1], blocks.system_lines([*system_of(text), *packages]), *lines[marks[1] :]])


def add_requirements(text: str, name: str) -> str:
    """The Dockerfile with the step that installs NAME.requirements.txt, for one that was made without it."""
    return _before_the_command(text, blocks.pip_block(checked_name(name)))


def add_extra(text: str, name: str, *, isolated: bool = True) -> str:
    """The Dockerfile with the step that installs NAME.extra.txt, once; as it is if that is there already."""
    there = any(
        instruction.word == "RUN" and extra_file(name) in instruction.rest for instruction in instructions(text)
    )
    if not there:
        return _before_the_command(text, blocks.extra_block(checked_name(name), isolated=isolated))
    if isolated or blocks.NOT_ISOLATED in text:
        return text
    lines = text.splitlines(keepends=True)
    installs = next(number for number, line in enumerate(lines) if "pip install" in line and extra_file(name) in line)
    lines[installs] = lines[installs].replace("pip install", f"pip install {blocks.NOT_ISOLATED}")
    return "".join(lines)


def _before_the_command(text: str, block: str) -> str:
    """The Dockerfile with a block in front of the CMD or ENTRYPOINT of its last stage, or at its end."""
    lines = text.splitlines(keepends=True)
    found = instructions(text)
    stage = max((one.line for one in found if one.word == "FROM"), default=0)
    ends = (one.line for one in found if one.word in ("CMD", "ENTRYPOINT") and one.line > stage)
    place = next(ends, len(lines))
    before, after = "".join(lines[:place]).rstrip("\n"), "".join(lines[place:])
    return f"{before}\n\n{block}\n" + (f"\n{after}" if after else "")


def _extra(name: str, lines: tuple[str, ...], *, constrained: bool) -> str:
    head = (
        f"# Packages of the image {name} that are installed in a step of their own. `image-update {name}` changes them."
    )
    return "".join(f"{line}\n" for line in (head, *([f"-c {constraints_file(name)}"] if constrained else []), *lines))


def _requirements(name: str, to_install: list[Group], *, constrained: bool) -> str:
    how = f"image-update {name} --add or --remove; or edit this file, then --rebuild."
    parts = [f"# The Python packages of the image {name}, one a line, as pip reads them.\n# To change them: {how}"]
    if constrained:
        parts.append(f"-c {constraints_file(name)}")
    for group in to_install:
        lines = [f"# {group.title}"]
        if group.left_out:
            lines.append(f"# The base image has {', '.join(group.left_out)} already.")
        parts.append("\n".join([*lines, *group.lines]))
    return "\n\n".join(parts) + "\n"


def _marks(lines: list[str]) -> tuple[int, int] | None:
    """The lines before the first and behind the last package."""
    try:
        first = lines.index(FIRST)
        return first, lines.index(LAST, first)
    except ValueError:
        return None
