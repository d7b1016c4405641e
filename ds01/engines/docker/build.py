"""Build images with Docker's classic builder, which every Docker has and which obeys limits and a cgroup parent.

Each step runs in an ordinary container, so a cgroup parent has its usual form: a path with the cgroupfs driver,
`NAME.slice` with systemd's. The builder tags the image at the end.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import Any

import docker.errors

from ds01.engines.docker.client import Client
from ds01.engines.docker.images import read_progress, require_reference
from ds01.engines.docker.login import build_headers
from ds01.engines.engine_errors import build_error, one_line, strip_control_codes
from ds01.engines.protocol import BuildSpec, Progress
from ds01.engines.pull_errors import pull_error
from ds01.engines.references import with_tag
from ds01.errors import Ds01Error, EngineRejected, EngineUnreachable

_TIMEOUT = (60.0, None)  # seconds for dockerd to accept a piece of the context; compilers are silent for hours
_STEP = re.compile(r"Step (\d+)/(\d+) : (.*)", re.DOTALL)
_NOISE = re.compile(
    r" ---> (?:Running in )?[0-9a-f]{12}|Removing intermediate container [0-9a-f]{12}"
    r"|Successfully (?:built|tagged) \S+"
)
_FROM = re.compile(r"FROM\s+(?:--\S+\s+)*(\S+)", re.IGNORECASE)
_ERRORS = "\x1b[91m"  # how the builder marks a program's stderr
_LAST_LINES = 3  # of a failed step's errors, for the message


def build_image(client: Client, spec: BuildSpec, context: Iterable[bytes]) -> Generator[Progress, None, None]:
    """Build an image. Closing the generator closes the connection; dockerd then ends the step and cleans up."""
    require_reference(spec.reference)
    login = build_headers(client.config())
    for warning in client.new_warnings(login.warnings):
        yield Progress("", warning, warning=True)
    with client.api_call("build the image") as api:
        try:
            response = client.call(
                api,
                "POST",
                "/build",
                params=_parameters(spec),
                headers={"Content-Type": "application/x-tar", **login.values},
                data=_pieces(context),
                stream=True,
                timeout=_TIMEOUT,
            )
        except docker.errors.APIError as error:
            raise build_error(spec, str(error.explanation)) from error
        parser = BuildOutput(spec)
        try:
            for line in response.iter_lines(chunk_size=None):
                if line.strip():
                    yield from parser.read(json.loads(line))
        finally:
            response.close()
        yield from parser.end()


class BuildOutput:
    """Parses a build's answer, entry by entry. Output comes in pieces of any length, stderr separately."""

    def __init__(self, spec: BuildSpec) -> None:
        self._spec = spec
        self._step = ""
        self._number = self._count = 0
        self._unfinished = {False: "", True: ""}  # incomplete lines; True: stderr
        self._last_lines: dict[bool, list[str]] = {False: [], True: []}
        self._image: str | None = None

    def read(self, entry: Mapping[str, Any]) -> Iterator[Progress]:
        """Yield the progress in one entry. Raises as `Engine.build` for an error entry."""
        if "error" in entry:
            yield from self._flush()
            raise self._error(entry)
        if "stream" in entry:
            yield from self._stream(str(entry["stream"]))
        elif "aux" in entry:
            self._image = entry["aux"].get("ID") or self._image  # one for each stage; the last is the image
        elif "status" in entry:
            yield read_progress(self._base_reference(), dict(entry))

    def end(self) -> Iterator[Progress]:
        """Yield the remaining progress. Raises EngineUnreachable if the answer ended before the image was complete."""
        yield from self._flush()
        if self._image is None or self._number < self._count:
            raise EngineUnreachable(
                "Docker aborted the build",
                why=f"its answer ended in step {self._step}" if self._step else "its answer ended too early",
                hint="`journalctl -u docker` says more.",
                data={"problem": "no_answer"},
            )
        yield Progress("built", self._image)

    def _stream(self, text: str) -> Iterator[Progress]:
        step = _STEP.fullmatch(text)
        # A program may print such a line too, but hardly with the next number and the same total.
        if step and int(step[1]) == self._number + 1 and (not self._count or int(step[2]) == self._count):
            yield from self._flush()
            self._number, self._count = int(step[1]), int(step[2])
            self._image = None  # the id was an earlier stage's
            self._step = f"{step[1]}/{step[2]} {one_line(strip_control_codes(step[3]))}"
            self._last_lines = {False: [], True: []}
            yield self._progress("")
            return
        if _NOISE.fullmatch(text.rstrip("\n")):  # the builder's own line; the output before it may lack a line break
            yield from self._flush()
            return
        errors = text.startswith(_ERRORS)
        *lines, self._unfinished[errors] = (self._unfinished[errors] + text).split("\n")
        for line in lines:
            yield from self._line(line, errors)

    def _flush(self) -> Iterator[Progress]:
        for errors, line in self._unfinished.items():
            yield from self._line(line, errors)
        self._unfinished = {False: "", True: ""}

    def _line(self, line: str, errors: bool) -> Iterator[Progress]:
        text = one_line(strip_control_codes(line.rstrip("\r").rpartition("\r")[2])).removeprefix("---> ")
        if text:
            self._last_lines[errors] = [*self._last_lines[errors], text][-_LAST_LINES:]
            yield self._progress(text)

    def _progress(self, text: str) -> Progress:
        return Progress(self._step, text, self._number or None, self._count or None)

    def _base_reference(self) -> str:
        found = _FROM.search(self._step)
        return found[1] if found else self._spec.reference

    def _error(self, entry: Mapping[str, Any]) -> Ds01Error:
        message, code = str(entry["error"]), (entry.get("errorDetail") or {}).get("code")
        if code is None and self._step and _FROM.match(self._step.partition(" ")[2]):
            return pull_error(self._base_reference(), message)
        output = self._last_lines[True] or self._last_lines[False]
        return build_error(self._spec, message, step=self._step or None, exit_code=code, output=output if code else ())


def _parameters(spec: BuildSpec) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        "version": "1",  # the classic builder
        "t": with_tag(spec.reference),
        "dockerfile": spec.dockerfile,
        "labels": json.dumps(dict(spec.labels)),
        "nocache": int(spec.no_cache),
        "buildargs": json.dumps(dict(spec.arguments)) if spec.arguments else None,
        "pull": 0,
        "rm": 1,
        "forcerm": 1,
        "networkmode": spec.network,
        "memory": spec.memory,
        # By default Docker allows as much swap again as memory.
        "memswap": spec.memory_swap if spec.memory_swap is not None else (-1 if spec.memory else None),
        "cpuquota": spec.cpu_quota,
        "cpuperiod": spec.cpu_period if spec.cpu_quota is not None else None,
        "shmsize": spec.shm_size,
        "cgroupparent": spec.cgroup_parent,
    }
    return {name: value for name, value in parameters.items() if value is not None}


def _pieces(context: Iterable[bytes]) -> Iterator[bytes]:
    try:
        for piece in context:
            if piece:  # an empty piece would end the request body
                yield piece
    except OSError as error:  # would otherwise look like a broken connection
        raise EngineRejected("The files for the build could not be read", why=str(error)) from error
