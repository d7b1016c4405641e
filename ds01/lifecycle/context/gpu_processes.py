"""GPU processes as root's tick saw them, for users from whom the kernel hides the processes of others (`hidepid`).

NVML shows the process ids to everybody. Name and container are read from /proc, which may be hidden; a process without
either counts as unknown use, even if the policy ignores its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from ds01.gpus.model import GpuObservation, GpuProcess
from ds01.system.data import DataError, format_time, parse_time

MAX_AGE = timedelta(minutes=15)  # several ticks; process ids are not reused so soon


def processes_document(observation: GpuObservation, now: datetime) -> dict[str, Any]:
    """Return the document that the tick stores: the named processes of each slot, by the slot's UUID."""
    slots = {
        slot.uuid: [
            {"pid": process.pid, "name": process.name, "container": process.container}
            for process in slot.processes or ()
            if process.name is not None
        ]
        for slot in observation.slots
    }
    return {"at": format_time(now), "slots": {uuid: named for uuid, named in slots.items() if named}}


def has_hidden_processes(observation: GpuObservation) -> bool:
    """Return whether a process has neither a name nor a container: it has ended, or it is hidden."""
    return any(_is_hidden(process) for slot in observation.slots for process in slot.processes or ())


def with_kept_names(observation: GpuObservation, kept: Mapping[str, Any], now: datetime) -> GpuObservation:
    """Return the observation with names and containers from `kept`, the tick's document, unless it is too old."""
    try:
        if not timedelta(0) <= now - parse_time(kept["at"]) <= MAX_AGE:
            return observation
        seen = {
            (uuid, item["pid"]): GpuProcess(item["pid"], str(item["name"]), item.get("container"))
            for uuid, items in kept["slots"].items()
            for item in items
        }
    except (DataError, KeyError, TypeError, AttributeError):
        return observation  # not written yet, or damaged: the names stay unknown
    slots = []
    for slot in observation.slots:
        if slot.processes is not None:
            named = tuple(_named(process, seen.get((slot.uuid, process.pid))) for process in slot.processes)
            slot = replace(slot, processes=named)
        slots.append(slot)
    return replace(observation, slots=tuple(slots))


def _named(process: GpuProcess, seen: GpuProcess | None) -> GpuProcess:
    if seen is None or not _is_hidden(process):
        return process
    return replace(process, name=seen.name, container=seen.container)


def _is_hidden(process: GpuProcess) -> bool:
    return process.name is None and process.container is None
