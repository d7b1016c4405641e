"""Gives a container that ds01 did not make the limits that the engine can still change."""

from __future__ import annotations

import contextlib
import dataclasses

from ds01.engines.protocol import EngineContainer, UpdateSpec
from ds01.errors import EngineConflict, EngineRejected
from ds01.lifecycle.context.context import Context
from ds01.lifecycle.spec.compose import changeable
from ds01.policy.units import readable_size, readable_sizes
from ds01.records.record import Record


def apply_limits(context: Context, record: Record, seen: EngineContainer) -> tuple[str, ...]:
    """Apply today's limits to a container, and return in words what it did not get.

    Raises EngineUnreachable, EngineNotFound.

    Its lock is held. Nothing that runs is harmed: less memory than it uses now would end its processes.
    """
    wanted = changeable(context.rules.limits_of(record).limits)
    warnings = []
    if wanted.memory is not None and seen.status.has_processes:
        used = _memory_used(context, seen)
        if used is None or used > wanted.memory:
            uses, limit = "nobody knows how much it uses", readable_size(wanted.memory)
            if used is not None:
                amount, limit = readable_sizes(used, wanted.memory)
                uses = f"it uses {amount} now"
            warnings.append(
                f"its memory stays as it is, since {uses} and the limit is {limit}: "
                f"once it is stopped, container-adopt {record.name} sets that"
            )
            wanted = dataclasses.replace(wanted, memory=None, memory_swap=None)
    try:
        warnings += context.engine.update(seen.id, wanted)
    except (EngineRejected, EngineConflict) as error:
        return (*warnings, f"its limits stay as they are: {error.why or error.message}")
    return (*warnings, *_ignored_limits(wanted, context.engine.inspect(seen.id)))


def _memory_used(context: Context, seen: EngineContainer) -> int | None:
    with contextlib.suppress(EngineConflict):
        return context.engine.usage(seen.id).memory_bytes
    return 0  # it has ended meanwhile


def _ignored_limits(wanted: UpdateSpec, seen: EngineContainer | None) -> list[str]:
    """What the engine did not take, as a kernel without swap accounting."""
    if seen is None or seen.spec is None:
        return []
    return [
        f"{name} is not enforced by this kernel: wanted {want}, has {getattr(seen.spec, name)}"
        for name in ("cpu_quota", "memory", "memory_swap", "pids_limit")
        if (want := getattr(wanted, name)) is not None and want != getattr(seen.spec, name)
    ]
