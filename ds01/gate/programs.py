"""Handlers of the operations on programs in a running container."""

from __future__ import annotations

from ds01.api.programs import GetExitCode, ResizeTerminal, RunProgram, SendSignal
from ds01.engines.protocol import Attachment
from ds01.errors import InvalidState
from ds01.gate.call import Call
from ds01.lifecycle.program import exec_request
from ds01.records.state_machine import State


def run_program(call: Call, operation: RunProgram) -> Attachment:
    """Start a program, and connect to it."""
    record = call.record(operation.container)
    call.about(record.container_name, record.uid)
    if record.state is not State.RUNNING or record.docker_id is None:
        raise InvalidState(f"{record.name} is not running (it is {record.state.value})")
    request = exec_request(call.context, record, operation.program, root=operation.root)
    return call.context.engine.attach(record.docker_id, request)


def resize_terminal(call: Call, operation: ResizeTerminal) -> None:
    """Set the size of a program's terminal."""
    call.context.engine.resize(operation.session, rows=operation.rows, columns=operation.columns)


def send_signal(call: Call, operation: SendSignal) -> bool:
    """Send a signal to a program."""
    return call.context.engine.signal(operation.session, operation.number)


def get_exit_code(call: Call, operation: GetExitCode) -> int | None:
    """Return a program's exit code."""
    return call.context.engine.exit_code(operation.session)
