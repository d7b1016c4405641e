"""What a step of a simulated build does: nothing runs, but what is plainly a failure fails.

`false`, `exit N` and `sh -c 'exit N'` end as they say, `echo` writes. `pip install` fails as pip does for a project
whose name begins with `no-such-package`, on its command line or in a file that was copied: the fault injector.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

from ds01.engines.simulated.dockerfile import Instruction, words

_ABSENT_PROJECT = "no-such-package"
_PIP = re.compile(r"\bpip3?(?:\.\d+)?\s+(?:-\S+\s+)*install\b(.*)")
_PROJECT = re.compile(rf"{_ABSENT_PROJECT}[A-Za-z0-9._-]*", re.IGNORECASE)
_SIGNS = re.compile(r"(&&|\|\||[;'\"{}()])")


class StepError(Exception):
    """A step fails with Docker's `words`; `code` if a program ended so."""

    def __init__(self, words: str, code: int | None = None) -> None:
        super().__init__(words)
        self.words = words
        self.code = code


@dataclass(frozen=True)
class Ran:
    """What a command wrote, each line with whether it is an error, and how it ended; `exit` ends the shell too."""

    lines: tuple[tuple[str, bool], ...] = ()
    code: int = 0
    ends: bool = False


def copied(instruction: Instruction, context: Mapping[str, bytes], workdir: str) -> dict[str, bytes]:
    """The files that COPY or ADD brings, by their path inside. Raises StepError as Docker does."""
    if any(flag.startswith("--from=") for flag in instruction.flags):
        return {}
    *sources, target = words(instruction.rest)
    if not sources:
        raise StepError(f"{instruction.word} requires at least two arguments, but only one was provided.")
    target_is_folder = target.endswith("/") or len(sources) > 1
    inside = posixpath.join(workdir or "/", target)
    found: dict[str, bytes] = {}
    for source in sources:
        if instruction.word == "ADD" and "://" in source:
            continue
        for name, content in _matching(instruction.word, source, context).items():
            folder = target_is_folder or name != posixpath.basename(source)
            found[posixpath.normpath(posixpath.join(inside, name) if folder else inside)] = content
    return found


def run(instruction: Instruction, files: Mapping[str, bytes]) -> Ran:
    """What RUN does with the `files` that were copied before. Raises StepError for what the builder does not know."""
    if any(flag.startswith("--mount") for flag in instruction.flags):
        raise StepError("the --mount option requires BuildKit. Refer to https://docs.docker.com/go/buildkit/ to learn")
    if instruction.rest.startswith("["):
        arguments = words(instruction.rest)
        return _program(arguments, " ".join(arguments), files)
    return _shell(instruction.rest, files)


def command(instruction: Instruction) -> str:
    """The command as Docker names it when it failed."""
    if instruction.rest.startswith("["):
        return " ".join(words(instruction.rest))
    return f"/bin/sh -c {instruction.rest}"


def _shell(line: str, files: Mapping[str, bytes]) -> Ran:
    lines: list[tuple[str, bool]] = []
    code, before = 0, ";"
    for number, part in enumerate(_split(line)):
        if number % 2:
            before = part
            continue
        if (before == "&&" and code) or (before == "||" and not code) or not part.strip():
            continue
        ran = _part(part.strip(), files)
        lines += ran.lines
        code = ran.code
        if ran.ends:
            return Ran(tuple(lines), code, ends=True)
    return Ran(tuple(lines), code)


def _part(part: str, files: Mapping[str, bytes]) -> Ran:
    if part.startswith("{") and part.endswith("}"):
        return _shell(part[1:-1], files)
    if part.startswith("(") and part.endswith(")"):
        return replace(_shell(part[1:-1], files), ends=False)
    return _program(words(part), part, files)


def _program(arguments: list[str], text: str, files: Mapping[str, bytes]) -> Ran:
    if text.strip().startswith("{ "):
        return _shell(text.strip().removeprefix("{ ").removesuffix("}"), files)
    name = posixpath.basename(arguments[0]) if arguments else ""
    if name == "false":
        return Ran(code=1)
    if name == "exit":
        return Ran(code=int(arguments[1]) if len(arguments) > 1 and arguments[1].isdigit() else 0, ends=True)
    if name in ("sh", "bash") and "-c" in arguments[:-1]:
        return replace(_shell(arguments[arguments.index("-c") + 1], files), ends=False)
    if name == "echo":
        errors = arguments[-1] in (">&2", "1>&2")
        return Ran(((" ".join(arguments[1:-1] if errors else arguments[1:]), errors),))
    pip = _PIP.search(text)
    return _install(words(pip[1]), files) if pip else Ran()


def _install(arguments: list[str], files: Mapping[str, bytes]) -> Ran:
    wanted = [word for word in arguments if not word.startswith("-")]
    for path in _requirement_files(arguments):
        for name, content in files.items():
            if posixpath.basename(name) == posixpath.basename(path):
                wanted += content.decode("utf-8", "replace").splitlines()
    for word in wanted:
        found = _PROJECT.match(word.strip())
        if found:
            missing = f"ERROR: Could not find a version that satisfies the requirement {word.strip()} "
            last = f"ERROR: No matching distribution found for {found[0]}"
            return Ran(((f"{missing}(from versions: none)", True), (last, True)), 1)
    return Ran()


def _requirement_files(arguments: list[str]) -> list[str]:
    after = [value for flag, value in pairwise(arguments) if flag in ("-r", "--requirement")]
    return after + [word.partition("=")[2] for word in arguments if word.startswith("--requirement=")]


def _split(line: str) -> list[str]:
    """A shell's line at `&&`, `||` and `;` that stand in no quotes and no group, which stand in between."""
    parts, quoted, depth = [""], "", 0
    for piece in _SIGNS.split(line):
        if piece in ("'", '"') and quoted in ("", piece):
            quoted = "" if quoted else piece
        if not quoted:
            depth += (piece in ("{", "(")) - (piece in ("}", ")"))
        if piece in ("&&", "||", ";") and not quoted and depth <= 0:
            parts += [piece, ""]
        else:
            parts[-1] += piece
    return parts


def _matching(word: str, source: str, context: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files of a source: one, those that a pattern means, or those below a folder, by their name from there on."""
    path = posixpath.normpath(source.lstrip("/") or ".")
    if any(sign in path for sign in "*?["):
        names = fnmatch.filter(context, path)
        if not names:
            raise StepError(f"{word} failed: no source files were specified")
        return {posixpath.basename(name): context[name] for name in names}
    if path in context:
        return {posixpath.basename(path): context[path]}
    below = "" if path == "." else f"{path}/"
    found = {name.removeprefix(below): content for name, content in context.items() if name.startswith(below)}
    if not found and path != ".":
        raise StepError(
            f"{word} failed: file not found in build context or excluded by .dockerignore: "
            f"stat {path}: file does not exist"
        )
    return found
