"""Describe in one line why a container ended. Pure."""

from __future__ import annotations

import signal

from ds01.engines.protocol import EngineContainer
from ds01.policy.units import readable_size
from ds01.records.record import ContainerEnd, Record

EXIT_CODE_SIGKILL = 128 + signal.SIGKILL
# How lists name the tick's rules; any other reason is shown unchanged.
_RULE_TEXTS = {"idle": "idle stop", "max_runtime": "runtime"}


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
        return ContainerEnd(at, f"OOM at {_describe_memory_limit(record, container)}", code, oom=True)
    why = "its process ended" if code is None else f"exit code {code}{_signal_name(code)}"
    # Docker sets OOMKilled if any process of the container ran out of memory since its start.
    if container.oom_killed and code != 0:
        why += f", after a process in it ran out of memory: {_describe_memory_limit(record, container)}"
    return ContainerEnd(at, why, code)


def describe_commanded_end(actor: str, why: str | None) -> str:
    """Return how a container ended that the tick or a user stopped through ds01."""
    if actor == "tick":
        return _RULE_TEXTS.get(why or "", f"stopped: {why}" if why else "stopped by the tick")
    return f"{why} by {actor}" if why == "emergency stop" else f"stopped by {actor}"


def _describe_memory_limit(record: Record, container: EngineContainer) -> str:
    limit = container.spec.memory if container.spec is not None else record.resource_limits.memory
    return "the server's memory, since it has no limit" if limit is None else f"{readable_size(limit)} (limit)"


def _signal_name(code: int) -> str:
    try:
        return f" ({signal.Signals(code - 128).name})" if code > 128 else ""
    except ValueError:
        return ""
