"""Simulate builds: the steps of a Dockerfile, and the resulting image.

A built image is stored by its id; the same steps on the same base give the same image, as with Docker's cache. A
missing base is pulled.
"""

from __future__ import annotations

import hashlib
import io
import json
import posixpath
import tarfile
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import field
from datetime import datetime
from typing import Any

from ds01.dataclass import dataclass
from ds01.engines.engine_errors import build_error
from ds01.engines.protocol import BuildSpec, Progress
from ds01.engines.pull_errors import pull_error
from ds01.engines.simulated import dockerfile as dockerfiles
from ds01.engines.simulated import images, steps
from ds01.engines.simulated.dockerfile import DockerfileError, Instruction
from ds01.engines.simulated.store import State, new_id
from ds01.errors import EngineRejected
from ds01.system.data import format_time

_SCRATCH = "scratch"


@dataclass
class Stage:
    """A stage of a build. `source`: the image whose files it has; `done`: the steps so far, in order."""

    source: str
    environment: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    workdir: str = "/"
    done: list[str] = field(default_factory=list)


def run_build(
    spec: BuildSpec,
    context: Iterable[bytes],
    read: Callable[[], State],
    pull: Callable[[str], Iterator[Progress]],
) -> Generator[Progress, None, Stage]:
    """Run the steps and return the last stage. Raises as `Engine.build`."""
    read()  # an engine that does not answer reports no other errors
    files = _unpack_context(spec, _read_all(context))
    instructions = _instructions(spec, files)
    count = len(instructions)
    stages: dict[str, Stage] = {}
    arguments: dict[str, str] = {}
    build_arguments = dict(spec.arguments)
    stage = Stage(_SCRATCH)
    for number, instruction in enumerate(instructions, 1):
        step = f"{number}/{count} {instruction.text}"
        yield Progress(step, "", number, count)
        if instruction.word == "FROM":
            reference, *name = dockerfiles.expand_variables(instruction.rest, arguments).split()
            stage = yield from _start_stage(stages.get(reference.lower()), reference, read, pull)
            stages[name[-1].lower() if name else str(len(stages))] = stage
            continue
        try:
            lines, code = _apply_instruction(instruction, stage, files, arguments, build_arguments)
        except steps.StepError as error:
            raise build_error(spec, error.words, step=step) from None
        for line, _ in lines:
            yield Progress(step, line, number, count)
        if code:
            words = f"The command '{steps.command_text(instruction)}' returned a non-zero code: {code}"
            output = [line for line, errors in lines if errors] or [line for line, _ in lines]
            raise build_error(spec, words, step=step, exit_code=code, output=output[-3:])
    return stage


def register_image(state: State, spec: BuildSpec, stage: Stage, now: datetime) -> str:
    """Tag the built image and return its id."""
    name = images.require_full_name(spec.reference)
    if not stage.done:
        source = stage.source  # only FROM: the base itself
    else:
        built: dict[str, Any] = state.setdefault("built", {})
        base = images.describe_image(state, stage.source).id if stage.source != _SCRATCH else _SCRATCH
        recipe = hashlib.sha256(json.dumps([base, *stage.done]).encode()).hexdigest()
        cached = [source for source, image in built.items() if image["recipe"] == recipe]
        source = cached[-1] if cached and not spec.no_cache else f"sha256:{new_id()}"
        built.setdefault(
            source,
            {
                "recipe": recipe,
                "root": images.root_of(state, stage.source),
                "labels": stage.labels,
                "environment": stage.environment,
                "created_at": format_time(now),
            },
        )
    state["tags"][name] = source
    state["untagged"] = [other for other in state["untagged"] if other != name]
    return images.describe_image(state, source).id


def _instructions(spec: BuildSpec, files: dict[str, bytes]) -> list[Instruction]:
    path = posixpath.normpath(spec.dockerfile)
    if path.startswith(("../", "/")) or path == "..":
        raise build_error(spec, f"forbidden path outside the build context: {spec.dockerfile} ()")
    if path not in files:
        raise build_error(spec, f"Cannot locate specified Dockerfile: {spec.dockerfile}")
    try:
        found = dockerfiles.parse_dockerfile(files[path].decode("utf-8", "replace"), spec.dockerfile)
    except DockerfileError as error:
        raise build_error(spec, str(error)) from None
    if spec.labels:
        pairs = " ".join(f"{json.dumps(key)}={json.dumps(value)}" for key, value in sorted(spec.labels.items()))
        found.append(Instruction("LABEL", (), pairs))
    return found


def _read_all(context: Iterable[bytes]) -> bytes:
    try:
        return b"".join(context)
    except OSError as error:
        raise EngineRejected("The files for the build could not be read", why=str(error)) from error


def _unpack_context(spec: BuildSpec, archive: bytes) -> dict[str, bytes]:
    if not archive:
        return {}
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            return {
                posixpath.normpath(member.name).lstrip("/"): content.read()
                for member in tar
                if member.isfile() and (content := tar.extractfile(member)) is not None
            }
    except tarfile.TarError as error:
        raise build_error(spec, f"archive/tar: {error}") from None


def _start_stage(
    cached: Stage | None, reference: str, read: Callable[[], State], pull: Callable[[str], Iterator[Progress]]
) -> Generator[Progress, None, Stage]:
    if cached is not None:
        return Stage(
            cached.source,
            dict(cached.environment),
            dict(cached.labels),
            dict(cached.files),
            cached.workdir,
            [*cached.done],
        )
    if reference == _SCRATCH:
        return Stage(_SCRATCH, {"PATH": images.DEFAULT_PATH})  # Docker's default for a base without PATH
    try:
        source = images.source_of(read(), reference)
    except EngineRejected as error:  # not an image name
        raise pull_error(reference, error.why or "") from None
    if source is None:
        if reference.startswith("ds01-"):
            raise pull_error(reference, f"pull access denied for {reference}, repository does not exist")
        yield from pull(reference)
        source = images.source_of(read(), reference) or images.require_full_name(reference)
    image = images.describe_image(read(), source)
    return Stage(source, dict(image.environment), dict(image.labels))


def _apply_instruction(
    instruction: Instruction,
    stage: Stage,
    context: dict[str, bytes],
    arguments: dict[str, str],
    build_arguments: dict[str, str],
) -> tuple[tuple[tuple[str, bool], ...], int]:
    """Apply an instruction to `stage`; return its output and exit code. Raises StepError."""
    variables = {**arguments, **stage.environment}
    rest = dockerfiles.expand_variables(instruction.rest, variables)
    recipe_line = instruction.text
    if instruction.word == "ARG":
        declared = {key: "" for key in rest.split() if "=" not in key} | dockerfiles.parse_pairs(rest) if rest else {}
        arguments |= {key: build_arguments.get(key, value) for key, value in declared.items() if key not in arguments}
    elif instruction.word == "ENV":
        stage.environment |= dockerfiles.parse_pairs(rest)
    elif instruction.word == "LABEL":
        stage.labels |= dockerfiles.parse_pairs(rest)
    elif instruction.word == "WORKDIR":
        stage.workdir = posixpath.join(stage.workdir, rest)
    elif instruction.word in ("COPY", "ADD"):
        copied = steps.copied_files(Instruction(instruction.word, instruction.flags, rest), context, stage.workdir)
        stage.files |= copied
        digests = {path: hashlib.sha256(content).hexdigest() for path, content in sorted(copied.items())}
        recipe_line += json.dumps(digests)
    elif instruction.word == "RUN":
        result = steps.run_step(instruction, stage.files)
        stage.done.append(recipe_line)
        return result.lines, result.code
    stage.done.append(recipe_line)
    return (), 0
