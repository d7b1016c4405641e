"""Why a container ended, in one line for people. Pure."""

from __future__ import annotations

import signal

from ds01.engines.protocol import EngineContainer
from ds01.policy.units import readable_size
from ds01.records.record import Ended, Record

KILLED = 128 + signal.SIGKILL
# The tick's rules in the words of a list; any other reason stands as it is.
_RULES = {"idle": "idle stop", "max_runtime": "runtime"}


def observed_end(record: Record, seen: EngineContainer, restart: str | None) -> Ended:
    """How a container ended that nobody stopped through ds01.

    `restart`: of the server or of Docker, if that ended it.
    """
    at, code = seen.finished_at or record.last_change, seen.exit_code
    if restart is not None:
        return Ended(at, restart, code)
    if seen.status.has_processes:
        return Ended(at, "stopped outside ds01")  # and started again: its exit code is gone
    if seen.oom_killed and code in (KILLED, None):
        return Ended(at, f"OOM at {_memory(record, seen)}", code, oom=True)
    why = "its process ended" if code is None else f"exit code {code}{_signal(code)}"
    # Docker says it of a container in which any process ran out of memory since its start.
    if seen.oom_killed and code != 0:
        why += f", after a process in it ran out of memory: {_memory(record, seen)}"
    return Ended(at, why, code)


def commanded_end(actor: str, why: str | None) -> str:
    """How a container ended that was stopped through ds01, by the tick or by somebody."""
    if actor == "tick":
        return _RULES.get(why or "", f"stopped: {why}" if why else "stopped by the tick")
    return f"{why} by {actor}" if why == "emergency stop" else f"stopped by {actor}"


def _memory(record: Record, seen: EngineContainer) -> str:
    limit = seen.spec.memory if seen.spec is not None else record.resource_limits.memory
    return "the server's own memory, it has no limit" if limit is None else f"{readable_size(limit)} (limit)"


def _signal(code: int) -> str:
    try:
        return f" ({signal.Signals(code - 128).name})" if code > 128 else ""
    except ValueError:
        return ""
