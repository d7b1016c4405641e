"""Describe in a few words why a container ended; lists and notices show them. Pure."""

from __future__ import annotations

import signal

from ds01.engines.protocol import EngineContainer
from ds01.policy.units import readable_size
from ds01.records.record import ContainerEnd, Record

EXIT_CODE_SIGKILL = 128 + signal.SIGKILL
# How lists name the tick's rules; any other reason is shown unchanged.
_RULE_TEXTS = {"idle": "idle stop", "max_runtime": "runtime limit"}
# Signals by which others end a process. Any other one comes from a fault of the program itself.
_STOP_SIGNALS = {
    signal.SIGHUP: "stopped",
    signal.SIGINT: "stopped",
    signal.SIGTERM: "stopped",
    signal.SIGKILL: "killed",
}


def end_seen_outside(record: Record, container: EngineContainer, restart: str | None) -> ContainerEnd:
    """Return how a container ended that nobody stopped through ds01.

    `restart`: the restart of the server or of Docker that ended it, if any.
    """
    at, code = container.finished_at or record.last_change, container.exit_code
    if restart is not None:
        return ContainerEnd(at, restart, code)
    if container.status.has_processes:
        return ContainerEnd(at, "stopped outside ds01")  # and started again: its exit code is gone
    if container.oom_killed and code in (EXIT_CODE_SIGKILL, None):
        return ContainerEnd(at, f"out of memory: {_describe_memory_limit(record, container)}", code, oom=True)
    why = _describe_exit(code)
    # Docker sets OOMKilled if any process of the container ran out of memory since its start.
    if container.oom_killed and code != 0:
        why += f", after a process ran out of memory: {_describe_memory_limit(record, container)}"
    return ContainerEnd(at, why, code)


def describe_commanded_end(actor: str, why: str | None) -> str:
    """Return how a container ended that the tick or a user stopped through ds01."""
    if actor == "tick":
        return _RULE_TEXTS.get(why or "", f"stopped: {why}" if why else "stopped by the tick")
    return f"{why} by {actor}" if why == "emergency stop" else f"stopped by {actor}"


def describe_removal(actor: str, why: str | None) -> str:
    """Return how a container ended that was removed without a stop before."""
    return f"removed: {why or 'by the tick'}" if actor == "tick" else f"removed by {actor}"


def _describe_exit(code: int | None) -> str:
    """Return what an exit code says. Docker's is that of process 1, or 128 and the signal that ended it."""
    if code is None:
        return "exited by itself"
    try:
        ended_by = signal.Signals(code - 128) if code > 128 else None
    except ValueError:
        ended_by = None
    if ended_by is None:
        return f"exited by itself, code {code}"
    if ended_by in _STOP_SIGNALS:
        return f"{_STOP_SIGNALS[ended_by]} outside ds01, {ended_by.name}"
    return f"crashed, {ended_by.name}"


def _describe_memory_limit(record: Record, container: EngineContainer) -> str:
    limit = container.spec.memory if container.spec is not None else record.resource_limits.memory
    return "the server's is full, it has no limit" if limit is None else f"limit {readable_size(limit)}"
