"""Render and change the Dockerfile of a user's image, and its requirements file. Pure functions on text.

User input can never become an instruction: it is checked against a pattern or quoted, and line breaks are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field

from ds01.dataclass import dataclass
from ds01.errors import UsageError
from ds01.images import blocks
from ds01.images.blocks import SYSTEM_BEGIN, SYSTEM_END
from ds01.images.instructions import parse_instructions
from ds01.images.plan import (
    ImagePlan,
    RequirementGroup,
    check_apt_packages,
    check_plan,
    require_image_name,
    requirement_groups,
    separate_requirements,
)
from ds01.images.requirements import constraints_file, extra_file

__all__ = [
    "ImagePlan",
    "SourceTexts",
    "add_extra_step",
    "add_requirements_step",
    "add_system_packages",
    "base_image",
    "render_sources",
    "system_packages",
]


@dataclass(frozen=True)
class SourceTexts:
    """The sources of an image: the Dockerfile, NAME.requirements.txt, and other files beside it, by name."""

    dockerfile: str
    requirements: str | None
    files: Mapping[str, str] = field(default_factory=dict)


def render_sources(plan: ImagePlan) -> SourceTexts:
    """Render a plan's Dockerfile and the files that it copies. Raises UsageError for invalid values."""
    check_plan(plan)
    to_install, separate = requirement_groups(plan), separate_requirements(plan)
    system = (*plan.sets.system, *(plan.use_case.system if plan.use_case else ()), *plan.system)
    parts = (
        blocks.header_block(plan),
        blocks.base_block(plan),
        "WORKDIR /workspace",
        blocks.system_block(system),
        blocks.pip_block(plan.name) if to_install else "",
        blocks.extra_block(plan.name, isolated=plan.isolated) if separate else "",
        blocks.jupyter_block(plan) if plan.jupyter else "",
        blocks.environment_block(),
        blocks.label_block(plan),
        'CMD ["/bin/bash"]',
    )
    text = "\n\n".join(part for part in parts if part) + "\n"
    constraints = plan.extra.constraints if plan.extra and (separate or to_install) else ()
    files = {constraints_file(plan.name): "".join(f"{line}\n" for line in constraints)} if constraints else {}
    if separate:
        files[extra_file(plan.name)] = _render_extra(plan.name, separate, constrained=bool(constraints))
    if not to_install:
        return SourceTexts(text, None, files)
    return SourceTexts(
        text, _render_requirements(plan.name, to_install, constrained=bool(constraints) and not separate), files
    )


def base_image(text: str) -> str | None:
    """Return the base image of a Dockerfile; None if it has none, or only in a variable."""
    for instruction in parse_instructions(text):
        if instruction.word == "FROM":
            words = [word for word in instruction.rest.split() if not word.startswith("--")]
            return words[0] if words and "$" not in words[0] else None
    return None


def system_packages(text: str) -> tuple[str, ...]:
    """Return the apt packages in ds01's block; empty without the block."""
    lines = text.splitlines()
    block_range = _system_block_range(lines)
    if block_range is None:
        return ()
    named = (line.strip().removesuffix("\\").strip() for line in lines[block_range[0] + 1 : block_range[1]])
    return tuple(name for name in named if name and not name.startswith("#"))


def add_system_packages(text: str, packages: Iterable[str]) -> str:
    """Return the Dockerfile with these apt packages added; another version of one is replaced. Raises UsageError."""
    packages = tuple(packages)
    check_apt_packages(packages)
    lines = text.splitlines(keepends=True)
    block_range = _system_block_range([line.rstrip("\r\n") for line in lines])
    if block_range is None:
        raise UsageError(
            "ds01 cannot add system packages to this Dockerfile",
            why=f"it adds them between the lines '{SYSTEM_BEGIN}' and '{SYSTEM_END}', and does not find both",
            hint="add a line by hand: RUN apt-get update && apt-get install -y PACKAGE",
        )
    return "".join(
        [
            *lines[: block_range[0] + 1],
            blocks.system_lines([*system_packages(text), *packages]),
            *lines[block_range[1] :],
        ]
    )


def add_requirements_step(text: str, name: str) -> str:
    """Return the Dockerfile with an additional step that installs NAME.requirements.txt."""
    return _insert_before_command(text, blocks.pip_block(require_image_name(name)))


def add_extra_step(text: str, name: str, *, isolated: bool = True) -> str:
    """Return the Dockerfile with the step that installs NAME.extra.txt; unchanged if it has the step already."""
    has_step = any(
        instruction.word == "RUN" and extra_file(name) in instruction.rest for instruction in parse_instructions(text)
    )
    if not has_step:
        return _insert_before_command(text, blocks.extra_block(require_image_name(name), isolated=isolated))
    if isolated or blocks.NO_BUILD_ISOLATION in text:
        return text
    lines = text.splitlines(keepends=True)
    installs = next(number for number, line in enumerate(lines) if "pip install" in line and extra_file(name) in line)
    lines[installs] = lines[installs].replace("pip install", f"pip install {blocks.NO_BUILD_ISOLATION}")
    return "".join(lines)


def _insert_before_command(text: str, block: str) -> str:
    """Return the Dockerfile with a block inserted before the CMD or ENTRYPOINT of its last stage, or at its end."""
    lines = text.splitlines(keepends=True)
    parsed = parse_instructions(text)
    stage = max((instruction.line for instruction in parsed if instruction.word == "FROM"), default=0)
    command_lines = (
        instruction.line
        for instruction in parsed
        if instruction.word in ("CMD", "ENTRYPOINT") and instruction.line > stage
    )
    position = next(command_lines, len(lines))
    before, after = "".join(lines[:position]).rstrip("\n"), "".join(lines[position:])
    return f"{before}\n\n{block}\n" + (f"\n{after}" if after else "")


def _render_extra(name: str, lines: tuple[str, ...], *, constrained: bool) -> str:
    heading = (
        f"# Packages of the image {name} that are installed in a separate step. `image-update {name}` changes them."
    )
    return "".join(
        f"{line}\n" for line in (heading, *([f"-c {constraints_file(name)}"] if constrained else []), *lines)
    )


def _render_requirements(name: str, to_install: list[RequirementGroup], *, constrained: bool) -> str:
    how = f"image-update {name} --add or --remove; or edit this file, then --rebuild."
    parts = [f"# The Python packages of the image {name}, one per line, as for pip.\n# To change them: {how}"]
    if constrained:
        parts.append(f"-c {constraints_file(name)}")
    for group in to_install:
        lines = [f"# {group.title}"]
        if group.left_out:
            lines.append(f"# The base image has {', '.join(group.left_out)} already.")
        parts.append("\n".join([*lines, *group.lines]))
    return "\n\n".join(parts) + "\n"


def _system_block_range(lines: list[str]) -> tuple[int, int] | None:
    """Return the lines before the first and after the last package."""
    try:
        first = lines.index(SYSTEM_BEGIN)
        return first, lines.index(SYSTEM_END, first)
    except ValueError:
        return None
