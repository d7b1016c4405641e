"""Convert an engine's refusals to errors: its message on one line, and a hint if one is known."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ds01.engines.protocol import BuildSpec
from ds01.errors import Ds01Error, EngineConflict, EngineNotFound, EngineRejected
from ds01.policy.units import readable_size

_LONGEST_WORDS = 600
# The patterns are compiled on first use: few commands need one.
# Terminal control sequences: ESC [ … letter (colours), ESC ] … BEL (titles), and shorter ones.
_ESCAPE = r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-Z\\^-~]"
_CONTROL = r"[\x00-\x08\x0e-\x1f\x7f-\x9f]"
_ABSENT = (("container", "container"), ("image", "image"), ("exec instance", "running program"))

# runc gives the number of the resource (setrlimit(2) on Linux), crun its name.
_REFUSED_RLIMIT = r"rlimit type (?P<number>\d+)|setrlimit `?RLIMIT_(?P<name>[A-Z]+)"
RLIMITS = {
    0: "cpu", 1: "fsize", 2: "data", 3: "stack", 4: "core", 5: "rss", 6: "nproc", 7: "nofile", 8: "memlock",
    10: "locks", 11: "sigpending", 12: "msgqueue", 13: "nice", 14: "rtprio", 15: "rttime",
}  # fmt: skip
_LONGEST_STEP = 80  # letters in the message; the data has the whole step
_KILLED = 137  # 128 + SIGKILL, which the kernel sends when memory runs out

DISK_FULL = "The disk is full. `docker system df` and `ds01 doctor` show what fills it."

_STALE_CDI = (
    "Docker's list of GPUs (CDI) is not that of the driver, as after a change of the MIG layout. An administrator runs "
    "`sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml`; `sudo ds01 doctor` says whether that was it."
)
MOUNT_DENIED = (
    "Docker, which runs as root, does not reach this directory: on file servers root often has no rights. Let others "
    "pass through the directories above it (`chmod o+x ~`), or mount one on a local disk."
)

_PORT_HINT = "Another program uses this port. Choose another, or none: then ds01 finds a free one."
# The first means that another container has the port, the second any other program.
_PORT_TAKEN = r":(?P<number>\d{1,5})(?: failed: port is already allocated|: bind: address already in use)"

# runc quotes the program, crun puts it into backquotes.
_NO_PROGRAM = re.compile(r"(?:exec: \"|executable file `)(?P<program>[^\"`]+)(?:\": executable file|`) not found")

_HINTS = (
    ("unresolvable cdi devices", _STALE_CDI),
    ("cdi device injection failed", _STALE_CDI),
    ("failed to discover gpu vendor from cdi", _STALE_CDI),
    ("no known gpu vendor found", _STALE_CDI),
    (
        "is unexpectedly nil",
        "Docker has lost this container's files. An administrator can remove it with `docker rm --force`.",
    ),
    ("no space left on device", DISK_FULL),
    ("could not select device driver", "Docker has no NVIDIA hook: the NVIDIA Container Toolkit is not installed."),
    ("nvidia-container-cli", "The GPU or its driver is not as Docker expects it. `ds01 doctor` says more."),
    ("bind source path does not exist", MOUNT_DENIED),
    ("invalid mount config", MOUNT_DENIED),
)


def error_from_response(status: int | None, message: str, what: str) -> Ds01Error:
    """Return dockerd's refusal as an error with its message on one line."""
    message = one_line(message)
    lower = message.lower()
    # 404 can also mean a missing network, process or directory inside; then the container still exists.
    absent = next((name for part, name in _ABSENT if f"no such {part}" in lower), None)
    if status == 404 and absent is not None:
        return EngineNotFound(f"Docker has no such {absent}", why=message)
    # Unpausing a container that is not paused gives 500.
    if status == 409 or "is not paused" in lower:
        return EngineConflict(f"Docker could not {what}", why=message)
    hint = next((hint for part, hint in _HINTS if part in lower), None)
    ulimit, port = refused_ulimit(message), re.search(_PORT_TAKEN, message)
    data: dict[str, object] | None = None if ulimit is None else {"problem": "ulimit", "ulimit": ulimit}
    if port is not None:
        data, hint = {"problem": "port", "port": int(port["number"])}, hint or _PORT_HINT
    if (missing := _NO_PROGRAM.search(message)) is not None:
        data = {"problem": "no_program", "program": missing["program"]}
    return EngineRejected(f"Docker could not {what}", why=message, hint=hint, data=data)


def refused_ulimit(message: str) -> str | None:
    """Return the ulimit that the kernel refused, in Docker's spelling, if the runtime's message names one."""
    found = re.search(_REFUSED_RLIMIT, message, re.IGNORECASE)
    if found is None:
        return None
    name = (found["name"] or "").lower() or RLIMITS.get(int(found["number"] or -1))
    return name or "unknown"


def build_error(
    spec: BuildSpec, message: str, *, step: str | None = None, exit_code: int | None = None, output: Iterable[str] = ()
) -> EngineRejected:
    """Why an image could not be built: `words` are Docker's, `said` the last lines of the program that failed."""
    why = one_line(" ".join(output)) or one_line(strip_control_codes(message))
    hint = None
    if "no space left" in f"{message} {why}".lower():
        hint = DISK_FULL
    elif exit_code == _KILLED and spec.memory is not None:
        hint = f"It was killed, probably out of memory: a build has {readable_size(spec.memory)}, like a container."
    return EngineRejected(
        f"The image {spec.reference} could not be built" + (f": step {_shorten(step)} failed" if step else ""),
        why=why if exit_code is None else f"{why} (exit code {exit_code})",
        hint=hint,
        data={"problem": "build", "step": step, "exit_code": exit_code},
    )


def one_line(message: str) -> str:
    """Return a message on one line, shortened."""
    text = " ".join(message.split())
    return text if len(text) <= _LONGEST_WORDS else f"{text[:_LONGEST_WORDS]}…"


def strip_control_codes(text: str) -> str:
    """Remove terminal control codes; white space stays."""
    return re.sub(_CONTROL, "", re.sub(_ESCAPE, "", text))


def _shorten(step: str) -> str:
    return step if len(step) <= _LONGEST_STEP else f"{step[: _LONGEST_STEP - 1]}…"
