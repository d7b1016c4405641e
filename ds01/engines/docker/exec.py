"""Start programs inside a running container: connected to a stream, or run to completion."""

from __future__ import annotations

import os
import select
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from ds01.engines.docker.client import TIMEOUT, Client
from ds01.engines.docker.usage import is_in_container
from ds01.engines.protocol import Attachment, ExecRequest
from ds01.errors import EngineConflict, EngineNotFound, EngineRejected

# dockerd holds back a key that could begin its detach sequence (by default ctrl-p, which recalls a line in shells)
# until the next key. The sequence cannot be disabled, so it gets keys that nobody types in this order.
_DETACH_KEYS = "ctrl-^,ctrl-@,ctrl-^,ctrl-@"
_POLL = 0.01  # seconds
_START_WAIT = 5.0  # seconds for a program to start, before its terminal's size is set
_END_WAIT = 5.0  # seconds after the end of a stream for dockerd to know the exit code


def attach_program(client: Client, reference: str, request: ExecRequest) -> Attachment:
    """Start a program and connect to it; its terminal has the requested size."""
    session, descriptor, initial_bytes = _open(client, reference, request, stdin=True)
    try:
        if request.tty and request.rows and request.columns:
            _wait_for_start(client, session)
            resize_terminal(client, session, rows=request.rows, columns=request.columns)
    except BaseException:
        os.close(descriptor)
        raise
    return Attachment(descriptor, session, request.tty, initial_bytes)


def run_program(client: Client, reference: str, request: ExecRequest) -> int:
    """Run a program to completion, discarding its output. Raises EngineRejected if it is silent for a minute."""
    session, descriptor, _ = _open(client, reference, request, stdin=False)
    try:
        while True:
            readable, _, _ = select.select([descriptor], [], [], TIMEOUT)
            if not readable:
                raise EngineRejected(
                    "A program in the container did not end", why=f"{request.command[0]}: no output for {TIMEOUT:.0f} s"
                )
            if not os.read(descriptor, 65536):
                break
    finally:
        os.close(descriptor)
    deadline = time.monotonic() + _END_WAIT
    while (code := program_exit_code(client, session)) is None:
        if time.monotonic() > deadline:
            raise EngineRejected("A program in the container did not end", why=f"{request.command[0]} is still running")
        time.sleep(_POLL)
    return code


def resize_terminal(client: Client, session: str, *, rows: int, columns: int) -> None:
    """Set the terminal size of a program; does nothing if it has ended."""
    try:
        with client.api_call("resize a terminal") as api:
            api.exec_resize(session, height=rows, width=columns)
    except (EngineConflict, EngineRejected):
        if program_exit_code(client, session) is None:
            raise


def signal_program(client: Client, session: str, number: int) -> bool:
    """Send a signal to a program and its process group; False if its process cannot be found.

    The signal is sent inside, to the pid in the container, since a pid on the host could belong to another process by
    now; and as root, since the program may have changed its user. Every program that Docker starts leads its own group.
    """
    _wait_for_start(client, session)
    state = _state(client, session)
    if not state.get("Running"):
        return True
    container = str(state.get("ContainerID") or "")
    pid = _pid_inside(int(state.get("Pid") or 0), container)
    if pid is None:
        return False
    kill = f"kill -{number} -{pid} 2>/dev/null || kill -{number} {pid}"
    try:
        code = run_program(client, container, ExecRequest(("sh", "-c", kill), user="0:0", tty=False))
    except (EngineNotFound, EngineConflict):
        return True  # the whole container has ended
    return code == 0 or program_exit_code(client, session) is not None


def _pid_inside(pid: int, container: str) -> int | None:
    """Return the pid of a process inside its container; None if it cannot be determined, as with hidepid."""
    if not pid or not container or not is_in_container(pid, container):
        return None
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    numbers = next((line.split()[1:] for line in lines if line.startswith("NSpid:")), [])
    return int(numbers[-1]) if len(numbers) > 1 else None  # a single number: it shares the host's pid namespace


def program_exit_code(client: Client, session: str) -> int | None:
    """Return the exit code of a program; None while it runs."""
    state = _state(client, session)
    code: int | None = None if state.get("Running") else state.get("ExitCode")
    return code


def _open(client: Client, reference: str, request: ExecRequest, *, stdin: bool) -> tuple[str, int, bytes]:
    with client.container_api_call("run a program in the container") as api:
        session: str = api.exec_create(
            reference,
            list(request.command),
            stdin=stdin,
            tty=request.tty,
            user=request.user,
            environment=[f"{name}={value}" for name, value in request.environment.items()],
            workdir=request.workdir,
            detach_keys=_DETACH_KEYS,
        )["Id"]
        stream = api.exec_start(session, tty=request.tty, socket=True)
        return session, *_take_over(stream)


def _take_over(stream: Any) -> tuple[int, bytes]:
    """Return the connection's file descriptor, and output that the HTTP client has already read."""
    response = stream._response  # where the SDK keeps it; its reader may have read past the headers
    with closing(response), suppress(AttributeError):
        # Without blocking: bytes in the reader's buffer, or bytes that have arrived, or nothing.
        stream._sock.settimeout(0)
        initial_bytes: bytes = response.raw._fp.fp.peek() or b""
        descriptor = os.dup(stream.fileno())
        os.set_blocking(descriptor, True)
        return descriptor, initial_bytes
    raise EngineRejected("Docker could not run a program in the container", why="this Docker SDK hides its connection")


def _wait_for_start(client: Client, session: str) -> None:
    # dockerd answers before the program runs; an early resize of a program that never runs blocks for ten seconds.
    deadline = time.monotonic() + _START_WAIT
    while time.monotonic() < deadline:
        state = _state(client, session)
        if state.get("Pid") or state.get("ExitCode") is not None:
            return
        time.sleep(_POLL)


def _state(client: Client, session: str) -> dict[str, Any]:
    with client.api_call("ask about a program") as api:
        state: dict[str, Any] = api.exec_inspect(session)
        return state
