"""Parse Dockerfiles for the simulated engine: enough of Docker's grammar to fail where Docker fails."""

from __future__ import annotations

import json
import re
import shlex

from ds01.dataclass import dataclass
from ds01.engines.engine_errors import one_line

_INSTRUCTIONS = frozenset(
    (
        "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER",
        "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
    )
)  # fmt: skip
_VARIABLE = re.compile(r"\\\$|\$(?:(\w+)|\{(\w+)(?::-([^}]*))?\})")


class DockerfileError(ValueError):
    """Docker's message for an invalid Dockerfile."""


@dataclass(frozen=True)
class Instruction:
    """A line of a Dockerfile: instruction, `--flags`, and the rest as written, on one line."""

    word: str
    flags: tuple[str, ...]
    rest: str

    @property
    def text(self) -> str:
        """The instruction as Docker shows it."""
        return one_line(" ".join((self.word, *self.flags, self.rest)))


def parse_dockerfile(text: str, path: str) -> list[Instruction]:
    """Return the instructions of the Dockerfile at `path`. Raises DockerfileError with Docker's message."""
    if not text.strip():
        raise DockerfileError(f"the Dockerfile ({path}) cannot be empty")
    found = [_instruction(line, number) for number, line in _lines(text)]
    if not found:
        raise DockerfileError("failed to parse Dockerfile: file with no instructions")
    if next((entry.word for entry in found if entry.word != "ARG"), "") != "FROM":
        raise DockerfileError("no build stage in current context")
    return found


def split_words(rest: str) -> list[str]:
    """Split an instruction's arguments: a JSON list, or words as in a shell."""
    if rest.startswith("["):
        try:
            listed = json.loads(rest)
            if isinstance(listed, list) and all(isinstance(word, str) for word in listed):
                return listed
        except ValueError:
            pass
    try:
        return shlex.split(rest)
    except ValueError:
        return rest.split()


def parse_pairs(rest: str) -> dict[str, str]:
    """Parse `KEY=VALUE …`, or the old form `KEY VALUE`."""
    found = split_words(rest)
    if found and "=" not in found[0]:
        return {found[0]: rest.partition(" ")[2].strip()}
    return {key: value for key, _, value in (word.partition("=") for word in found)}


def expand_variables(text: str, variables: dict[str, str]) -> str:
    """Return the text with `$A`, `${A}` and `${A:-default}` replaced."""

    def value(found: re.Match[str]) -> str:
        if found[0].startswith("\\"):
            return "$"
        return variables.get(found[1] or found[2]) or found[3] or ""

    return _VARIABLE.sub(value, text)


def _lines(text: str) -> list[tuple[int, str]]:
    """Return each logical line with its number: backslashes continue a line, comments are left out."""
    found: list[tuple[int, str]] = []
    continued, first = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#") or not line.strip():
            continue
        first = first if continued else number
        continued += line.rstrip() if continued else line.strip()
        if continued.endswith("\\"):
            continued = continued[:-1] + " "
            continue
        found.append((first, continued.strip()))
        continued = ""
    return [*found, (first, continued.strip())] if continued.strip() else found


def _instruction(line: str, number: int) -> Instruction:
    word, _, rest = line.partition(" ")
    word, rest = word.upper(), rest.strip()
    if word not in _INSTRUCTIONS:
        raise DockerfileError(f"dockerfile parse error line {number}: unknown instruction: {word}")
    flags = []
    while word in ("ADD", "COPY", "FROM", "RUN", "HEALTHCHECK") and rest.startswith("--"):
        flag, _, rest = rest.partition(" ")
        flags.append(flag)
        rest = rest.lstrip()
    if word == "FROM" and len(rest.split()) not in (1, 3):
        raise DockerfileError(f"dockerfile parse error line {number}: FROM requires either one or three arguments")
    return Instruction(word, tuple(flags), rest)
