"""Apply limits to an adopted container, as far as the engine can still change them."""

from __future__ import annotations

import contextlib
import dataclasses

from ds01.engines.protocol import EngineContainer, UpdateSpec
from ds01.errors import EngineConflict, EngineRejected
from ds01.lifecycle.context.context import Context
from ds01.lifecycle.spec.compose import changeable
from ds01.policy.units import readable_size, readable_sizes
from ds01.records.record import Record


def apply_limits(context: Context, record: Record, container: EngineContainer) -> tuple[str, ...]:
    """Apply today's limits to a container, and return warnings for those that could not be applied.

    Its lock is held. A memory limit below the current use is left out, since it would kill processes.
    Raises EngineUnreachable, EngineNotFound.
    """
    wanted = changeable(context.rules.limits_of(record).limits)
    warnings = []
    if wanted.memory is not None and container.status.has_processes:
        used = _memory_used(context, container)
        if used is None or used > wanted.memory:
            uses, limit = "its current use is unknown", readable_size(wanted.memory)
            if used is not None:
                amount, limit = readable_sizes(used, wanted.memory)
                uses = f"it uses {amount} now"
            warnings.append(
                f"its memory limit is unchanged, since {uses} and the limit is {limit}: "
                f"once it is stopped, container-adopt {record.name} sets the limit"
            )
            wanted = dataclasses.replace(wanted, memory=None, memory_swap=None)
    try:
        warnings += context.engine.update(container.id, wanted)
    except (EngineRejected, EngineConflict) as error:
        return (*warnings, f"its limits are unchanged: {error.why or error.message}")
    return (*warnings, *_ignored_limits(wanted, context.engine.inspect(container.id)))


def _memory_used(context: Context, container: EngineContainer) -> int | None:
    with contextlib.suppress(EngineConflict):
        return context.engine.usage(container.id).memory_bytes
    return 0  # it has stopped meanwhile


def _ignored_limits(wanted: UpdateSpec, container: EngineContainer | None) -> list[str]:
    """Return warnings for limits that have no effect, such as swap on a kernel without swap accounting."""
    if container is None or container.spec is None:
        return []
    return [
        f"{name} is not enforced by this kernel: wanted {want}, has {getattr(container.spec, name)}"
        for name in ("cpu_quota", "memory", "memory_swap", "pids_limit")
        if (want := getattr(wanted, name)) is not None and want != getattr(container.spec, name)
    ]
