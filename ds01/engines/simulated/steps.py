"""Simulate the steps of a build: nothing runs, but commands that obviously fail do fail.

`false`, `exit N` and `sh -c 'exit N'` end with their exit code, `echo` prints. For fault injection, `pip install` fails
like pip for a project whose name begins with `no-such-package`, on its command line or in a copied file.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

from ds01.dataclass import dataclass
from ds01.engines.simulated.dockerfile import Instruction, split_words

_ABSENT_PROJECT = "no-such-package"
_PIP = re.compile(r"\bpip3?(?:\.\d+)?\s+(?:-\S+\s+)*install\b(.*)")
_PROJECT = re.compile(rf"{_ABSENT_PROJECT}[A-Za-z0-9._-]*", re.IGNORECASE)
_OPERATORS = re.compile(r"(&&|\|\||[;'\"{}()])")


class StepError(Exception):
    """A step fails with Docker's message `words`; `code` is the exit code of a failed program."""

    def __init__(self, words: str, code: int | None = None) -> None:
        super().__init__(words)
        self.words = words
        self.code = code


@dataclass(frozen=True)
class RunResult:
    """A command's output lines (True: stderr) and exit code; `exit` ends the shell too."""

    lines: tuple[tuple[str, bool], ...] = ()
    code: int = 0
    ends_shell: bool = False


def copied_files(instruction: Instruction, context: Mapping[str, bytes], workdir: str) -> dict[str, bytes]:
    """Return the files that COPY or ADD copies, by their path inside. Raises StepError as Docker does."""
    if any(flag.startswith("--from=") for flag in instruction.flags):
        return {}
    *sources, target = split_words(instruction.rest)
    if not sources:
        raise StepError(f"{instruction.word} requires at least two arguments, but only one was provided.")
    target_is_folder = target.endswith("/") or len(sources) > 1
    target_path = posixpath.join(workdir or "/", target)
    found: dict[str, bytes] = {}
    for source in sources:
        if instruction.word == "ADD" and "://" in source:
            continue
        for name, content in _matching_files(instruction.word, source, context).items():
            folder = target_is_folder or name != posixpath.basename(source)
            found[posixpath.normpath(posixpath.join(target_path, name) if folder else target_path)] = content
    return found


def run_step(instruction: Instruction, files: Mapping[str, bytes]) -> RunResult:
    """Simulate RUN with the `files` copied before. Raises StepError for what the classic builder lacks."""
    if any(flag.startswith("--mount") for flag in instruction.flags):
        raise StepError("the --mount option requires BuildKit. Refer to https://docs.docker.com/go/buildkit/ to learn")
    if instruction.rest.startswith("["):
        arguments = split_words(instruction.rest)
        return _run_program(arguments, " ".join(arguments), files)
    return _run_shell(instruction.rest, files)


def command_text(instruction: Instruction) -> str:
    """Return the command as in Docker's failure message."""
    if instruction.rest.startswith("["):
        return " ".join(split_words(instruction.rest))
    return f"/bin/sh -c {instruction.rest}"


def _run_shell(line: str, files: Mapping[str, bytes]) -> RunResult:
    lines: list[tuple[str, bool]] = []
    code, operator = 0, ";"
    for number, part in enumerate(_split_operators(line)):
        if number % 2:
            operator = part
            continue
        if (operator == "&&" and code) or (operator == "||" and not code) or not part.strip():
            continue
        result = _run_part(part.strip(), files)
        lines += result.lines
        code = result.code
        if result.ends_shell:
            return RunResult(tuple(lines), code, ends_shell=True)
    return RunResult(tuple(lines), code)


def _run_part(part: str, files: Mapping[str, bytes]) -> RunResult:
    if part.startswith("{") and part.endswith("}"):
        return _run_shell(part[1:-1], files)
    if part.startswith("(") and part.endswith(")"):
        return replace(_run_shell(part[1:-1], files), ends_shell=False)
    return _run_program(split_words(part), part, files)


def _run_program(arguments: list[str], text: str, files: Mapping[str, bytes]) -> RunResult:
    if text.strip().startswith("{ "):
        return _run_shell(text.strip().removeprefix("{ ").removesuffix("}"), files)
    name = posixpath.basename(arguments[0]) if arguments else ""
    if name == "false":
        return RunResult(code=1)
    if name == "exit":
        return RunResult(
            code=int(arguments[1]) if len(arguments) > 1 and arguments[1].isdigit() else 0, ends_shell=True
        )
    if name in ("sh", "bash") and "-c" in arguments[:-1]:
        return replace(_run_shell(arguments[arguments.index("-c") + 1], files), ends_shell=False)
    if name == "echo":
        errors = arguments[-1] in (">&2", "1>&2")
        return RunResult(((" ".join(arguments[1:-1] if errors else arguments[1:]), errors),))
    pip = _PIP.search(text)
    return _run_pip_install(split_words(pip[1]), files) if pip else RunResult()


def _run_pip_install(arguments: list[str], files: Mapping[str, bytes]) -> RunResult:
    requirements = [word for word in arguments if not word.startswith("-")]
    for path in _requirement_files(arguments):
        for name, content in files.items():
            if posixpath.basename(name) == posixpath.basename(path):
                requirements += content.decode("utf-8", "replace").splitlines()
    for word in requirements:
        found = _PROJECT.match(word.strip())
        if found:
            missing = f"ERROR: Could not find a version that satisfies the requirement {word.strip()} "
            last = f"ERROR: No matching distribution found for {found[0]}"
            return RunResult(((f"{missing}(from versions: none)", True), (last, True)), 1)
    return RunResult()


def _requirement_files(arguments: list[str]) -> list[str]:
    files_named = [value for flag, value in pairwise(arguments) if flag in ("-r", "--requirement")]
    return files_named + [word.partition("=")[2] for word in arguments if word.startswith("--requirement=")]


def _split_operators(line: str) -> list[str]:
    """Split a shell line at `&&`, `||` and `;` outside quotes and groups; the operators are kept."""
    parts, quoted, depth = [""], "", 0
    for piece in _OPERATORS.split(line):
        if piece in ("'", '"') and quoted in ("", piece):
            quoted = "" if quoted else piece
        if not quoted:
            depth += (piece in ("{", "(")) - (piece in ("}", ")"))
        if piece in ("&&", "||", ";") and not quoted and depth <= 0:
            parts += [piece, ""]
        else:
            parts[-1] += piece
    return parts


def _matching_files(word: str, source: str, context: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files of a source (a file, a pattern or a directory) by their relative name."""
    path = posixpath.normpath(source.lstrip("/") or ".")
    if any(sign in path for sign in "*?["):
        names = fnmatch.filter(context, path)
        if not names:
            raise StepError(f"{word} failed: no source files were specified")
        return {posixpath.basename(name): context[name] for name in names}
    if path in context:
        return {posixpath.basename(path): context[path]}
    prefix = "" if path == "." else f"{path}/"
    found = {name.removeprefix(prefix): content for name, content in context.items() if name.startswith(prefix)}
    if not found and path != ".":
        raise StepError(
            f"{word} failed: file not found in build context or excluded by .dockerignore: "
            f"stat {path}: file does not exist"
        )
    return found
