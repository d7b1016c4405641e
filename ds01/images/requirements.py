"""Read, merge and change requirements: from `--packages`, a user's requirements file, and the file beside a Dockerfile.

Versions, extras, markers and URLs reach pip as they were written, since no shell reads them.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator
from posixpath import dirname, join, normpath

from ds01.dataclass import dataclass
from ds01.errors import UsageError
from ds01.images.requirement_lines import (
    EXAMPLE_REQUIREMENTS,
    bare_name,
    check_requirement,
    has_control_characters,
    is_requirement,
    logical_lines,
    requirement_name,
    split_options,
)
from ds01.images.requirement_text import check_is_requirements

__all__ = [
    "Requirements",
    "add_packages",
    "check_requirement",
    "constraints_file",
    "extra_file",
    "merge_requirements",
    "package_names",
    "read_requirements",
    "remove_packages",
    "requirement_name",
    "requirements_file",
    "split_packages",
    "without_provided",
]

# Options that pip accepts in a requirements file: for the whole file, and after a single requirement.
_FLAGS = frozenset({"--pre", "--no-index", "--prefer-binary", "--require-hashes"})
_VALUES = frozenset({"--index-url", "--pypi-url", "--extra-index-url", "--trusted-host", "--no-binary"}) | {
    "--only-binary",
    "--use-feature",
    "--find-links",
}
_FILES = frozenset({"--requirement", "--constraint", "--editable"})
_SHORT = {
    "-i": "--index-url",
    "-f": "--find-links",
    "-r": "--requirement",
    "-c": "--constraint",
    "-e": "--editable",
}
_BUILD_OPTIONS = frozenset({"--no-build-isolation", "--no-use-pep517", "--use-pep517"})
_REQUIREMENT_OPTIONS = ("--hash", "--config-settings", "--config-setting", "-C", "--global-option")

_QUOTING = """quote one that has spaces in it: --packages '"name @ https://HOST/FILE.whl" torch'"""

Include = Callable[[str], str | None]


@dataclass(frozen=True)
class Requirements:
    """A requirements file with its includes: requirements and options in order, as written.

    The constraints that it names go into a separate file: see `merge_requirements`.
    """

    lines: tuple[str, ...]
    constraints: tuple[str, ...] = ()

    @property
    def has_hashes(self) -> bool:
        """Whether pip will require a hash for everything that it installs."""
        return any(" --hash" in line or line.startswith("--require-hashes") for line in self.lines)

    @property
    def has_options(self) -> bool:
        """Whether it has options that affect all packages of the same pip command: an index, hashes."""
        return self.has_hashes or any(line.startswith("-") for line in self.lines)


def split_packages(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the requirements in the values of `--packages`, in order. Raises UsageError.

    Each value is split as in a shell, unless it is one requirement with spaces in it, such as `pandas >= 2.0`.
    """
    return tuple(requirement for text in texts for requirement in _split_text(text))


def read_requirements(text: str, include: Include) -> Requirements:
    """Parse a requirements file with its includes. Raises UsageError for what pip would refuse or a build cannot use.

    `include` returns the text of a file by its path relative to the first file, or None.
    """
    found: list[tuple[bool, str]] = list(_parse_requirements(text, "", include, ()))
    return Requirements(
        tuple(line for is_constraint, line in found if not is_constraint),
        tuple(line for is_constraint, line in found if is_constraint),
    )


def add_packages(text: str, requirements: Iterable[str]) -> str:
    """Return the file with these requirements, replacing those of the same name. Raises UsageError."""
    requirements = tuple(requirements)
    for requirement in requirements:
        check_requirement(requirement)
    return _with_lines(text, [requirement.strip() for requirement in requirements])


def merge_requirements(text: str, extra: Requirements, name: str) -> tuple[str, dict[str, str]]:
    """Return the requirements file of the image `name` with `extra` merged in, and the files beside it.

    Constraints replace those of an earlier file. Raises UsageError.
    """
    if not extra.constraints:
        return _with_lines(text, extra.lines), {}
    constraints = "".join(f"{line}\n" for line in extra.constraints)
    return _with_lines(text, [f"-c {constraints_file(name)}", *extra.lines]), {constraints_file(name): constraints}


def requirements_file(name: str) -> str:
    """Return the name of an image's requirements file."""
    return f"{name}.requirements.txt"


def constraints_file(name: str) -> str:
    """Return the name of an image's constraints file."""
    return f"{name}.constraints.txt"


def extra_file(name: str) -> str:
    """Return the name of the user's requirements file that is installed in a separate step."""
    return f"{name}.extra.txt"


def package_names(text: str) -> frozenset[str]:
    """Return the names of the packages in a requirements file."""
    found = (requirement_name(line.content) for line in logical_lines(text) if line.content)
    return frozenset(name for name in found if name is not None)


def remove_packages(text: str, names: Iterable[str]) -> tuple[str, tuple[str, ...]]:
    """Return the requirements file without these packages, and those that were not in it. The rest is unchanged."""
    wanted = {requirement_name(name) or name: name for name in names}
    kept: list[str] = []
    found: set[str] = set()
    for line in logical_lines(text):
        name = requirement_name(line.content)
        if name is not None and name in wanted:
            found.add(name)
        else:
            kept.append(line.written)
    return "".join(kept), tuple(name for key, name in wanted.items() if key not in found)


def without_provided(requirements: Iterable[str], provided: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split into requirements to install and those already provided. One with a version is always installed."""
    requirements, existing = tuple(requirements), {requirement_name(name) for name in provided}
    provided_requirements = tuple(
        requirement
        for requirement in requirements
        if bare_name(requirement) is not None and bare_name(requirement) in existing
    )
    return tuple(
        requirement for requirement in requirements if requirement not in provided_requirements
    ), provided_requirements


def _split_text(text: str) -> list[str]:
    if has_control_characters(text):
        raise UsageError(
            f"{text!r} contains a line break or another control character",
            hint=f"write requirements like {EXAMPLE_REQUIREMENTS}",
        )
    try:
        check_requirement(text)
        return [text.strip()]
    except UsageError as whole:
        try:
            parts = [part.strip() for part in shlex.split(text)]
        except ValueError as error:
            raise UsageError(f"{text!r} cannot be split into packages", why=str(error)) from None
        if is_requirement(text) or parts == [text.strip()]:
            raise _with_comma_hint(text, whole) from None
    for part in parts:
        try:
            check_requirement(part)
        except UsageError as error:
            hint = error.hint if len(parts) == 1 else _QUOTING
            raise _with_comma_hint(text, UsageError(error.message, why=error.why, hint=hint)) from None
    return parts


def _with_comma_hint(text: str, error: UsageError) -> UsageError:
    """Return the error, with a hint if packages were separated by commas."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) < 2 or not all(is_requirement(part) for part in parts):
        return error
    return UsageError(
        error.message,
        why="a comma separates version conditions of one package",
        hint=f"separate packages with spaces: {' '.join(parts)!r}",
    )


def _parse_requirements(text: str, path: str, include: Include, parents: tuple[str, ...]) -> Iterator[tuple[bool, str]]:
    """Yield each remaining line, and whether it is a constraint."""
    check_is_requirements(text)
    for line in logical_lines(text.removeprefix("\ufeff")):
        if not line.content:
            continue
        if has_control_characters(line.content.replace("\t", " ")):
            raise UsageError(f"the requirements contain a control character in {line.content!r}")
        requirement, options = split_options(line.content)
        if requirement:
            check_requirement(requirement.replace("\t", " "), in_file=True)
            _check_options_of_one(requirement, options)
            yield False, line.content
        else:
            yield from _parse_options(line.content, path, include, parents)


def _check_options_of_one(requirement: str, options: str) -> None:
    for word in options.split():
        if word.startswith("-") and not word.startswith(_REQUIREMENT_OPTIONS):
            raise UsageError(f"pip does not accept {word} after a requirement", why=f"it is after '{requirement}'")


def _parse_options(content: str, path: str, include: Include, parents: tuple[str, ...]) -> Iterator[tuple[bool, str]]:
    """Process a line of options. Included files replace the option; the rest of the line is unchanged."""
    kept: list[str] = []
    files: list[tuple[bool, str]] = []
    for option, value in _option_pairs(content):
        if option == "--editable":
            raise _editable_error(content, value)
        if option in ("--requirement", "--constraint") and "://" not in value:
            files.append((option == "--constraint", value))
            continue
        if option in ("--find-links", "--requirement", "--constraint") and not value.startswith(("http:", "https:")):
            raise UsageError(
                f"'{content}' is a directory of yours",
                why="the build sees none of your directories",
                hint="use a URL instead",
            )
        kept += [option] if value == "" else [option, value]
    if not files:
        yield False, content
    elif kept:
        yield False, shlex.join(kept)
    for is_constraint, name in files:
        yield from _read_included(is_constraint, name, path, include, parents)


def _editable_error(content: str, value: str) -> UsageError:
    message = f"'{content}' cannot be in an image"
    if "://" in value and not value.startswith("file:"):
        why = "pip would put its source into src/ of the workspace, where your workspace is mounted in a container"
        return UsageError(message, why=why, hint=f"write only the address: {value}")
    return UsageError(
        message,
        why="the build sees none of your directories",
        hint="install it in the container: `container-run NAME -- pip install -e /workspace`",
    )


def _option_pairs(content: str) -> Iterator[tuple[str, str]]:
    """Yield each option of a line by its long name, with its value. Raises UsageError if pip refuses it there."""
    try:
        words = shlex.split(content)
    except ValueError as error:
        raise UsageError(f"'{content}' in the requirements cannot be read", why=str(error)) from None
    while words:
        word = words.pop(0)
        option, equals, value = word.partition("=")
        if word[:2] in _SHORT:
            option, equals, value = _SHORT[word[:2]], word[2:], word[2:].removeprefix("=")
        option = _full_option(option)
        if option in _FLAGS and not equals:
            yield option, ""
        elif option in _VALUES | _FILES and (equals or words):
            yield option, value if equals else words.pop(0)
        elif option in _BUILD_OPTIONS:
            raise UsageError(
                f"pip accepts {option} only on its command line, not in a file",
                why=f"it is in '{content}'",
                hint="remove that line, and use the option of image-create or image-update: --no-build-isolation",
            )
        else:
            raise UsageError(f"pip does not accept {word} in a requirements file", why=f"it is in '{content}'")


def _full_option(option: str) -> str:
    """Return the full name of an abbreviated option as pip does: the only one with that prefix."""
    accepted_options = _FLAGS | _VALUES | _FILES
    fitting = [name for name in accepted_options if name.startswith(option)] if option.startswith("--") else []
    return fitting[0] if len(fitting) == 1 and option not in accepted_options and len(option) > len("--") else option


def _read_included(
    is_constraint: bool, name: str, path: str, include: Include, parents: tuple[str, ...]
) -> Iterator[tuple[bool, str]]:
    inner = normpath(join(dirname(path), name))
    if inner in parents:
        raise UsageError(f"the requirements file {inner} includes itself")
    text = include(inner)
    if text is None:
        raise UsageError(f"the requirements include {name}, which does not exist", why=f"looked for {inner}")
    for is_nested_constraint, line in _parse_requirements(text, inner, include, (*parents, inner)):
        yield is_constraint or is_nested_constraint, line


def _with_lines(text: str, wanted_lines: Iterable[str]) -> str:
    """Return the file with these lines, replacing lines of the same name, or at the end."""
    wanted: dict[str, list[str]] = {}
    for line in wanted_lines:
        wanted.setdefault(requirement_name(line) or line, []).append(line)
    written: list[str] = []
    placed_keys: set[str] = set()
    for existing in logical_lines(text):
        key = requirement_name(existing.content) or existing.content
        if key not in wanted:
            written.append(existing.written)
        elif key not in placed_keys:
            placed_keys.add(key)
            written.append("\n".join(wanted[key]) + f"{existing.comment}\n")
    missing = [line for key, same in wanted.items() if key not in placed_keys for line in same]
    return _with_line_end("".join(written), bool(missing)) + "".join(f"{line}\n" for line in missing)


def _with_line_end(text: str, has_more: bool) -> str:
    """Return the text with a line end, so that lines can be appended."""
    if not has_more or not text:
        return text
    if not text.endswith("\n"):
        text += "\n"
    # A last line with a continuation would swallow the next one.
    return f"{text}\n" if text.rstrip("\r\n").endswith("\\") else text
