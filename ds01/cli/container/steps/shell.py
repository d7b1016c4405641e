"""Entering a running container, with a shell or a command."""

from __future__ import annotations

from ds01.api.programs import GetExitCode, ResizeTerminal, RunProgram, SendSignal
from ds01.api.types import ExecRequest
from ds01.api.views import ContainerView
from ds01.cli.command.guide import explain
from ds01.cli.session import Session
from ds01.cli.ui.terminal import LeftRunning, connect, terminal_size

SHELL = ("sh", "-c", "command -v bash >/dev/null && exec bash; exec sh")


def enter(session: Session, container: ContainerView, command: tuple[str, ...] = (), *, root: bool = False) -> int:
    """Run `command` in a running container, or a shell on a terminal; return its exit code."""
    if not command:
        explain(session, "run", name=container.name)
        session.say(f"Entering {container.name}. `exit` leaves it, and everything in it goes on running.")
    code = run_attached(session, container, command, root=root)
    if not command:
        name = container.name
        session.say(f"You left {name}; it goes on running. `container-run {name}` enters it again,")
        session.say(f"`container-stop {name}` ends it, `container-retire {name}` gives its GPU back too.")
    return code


def run_attached(
    session: Session, container: ContainerView, command: tuple[str, ...] = (), *, root: bool = False
) -> int:
    """Do the same as `enter`, without messages."""
    rows, columns = terminal_size() if session.has_terminal else (None, None)
    environment = {"TERM": session.settings.terminal} if session.has_terminal and session.settings.terminal else {}
    request = ExecRequest(
        command or SHELL,
        user="",  # set by the gate
        workdir="/workspace",
        environment=environment,
        tty=session.has_terminal,
        rows=rows,
        columns=columns,
    )
    attachment = session.run(RunProgram(container.container, request, root=root))
    program_id = attachment.session
    try:
        return connect(
            attachment,
            resize=lambda rows, columns: session.run(ResizeTerminal(program_id, rows, columns)),
            exit_code=lambda: session.run(GetExitCode(program_id)),
            send_signal=lambda number: session.run(SendSignal(program_id, number)),
        )
    except LeftRunning as error:
        program = command[0] if command else "the shell"
        session.warn(
            f"{program} is still running in {container.name}. End it inside with `kill`, or everything with "
            f"`container-stop {container.name}`."
        )
        return 128 + error.signal
