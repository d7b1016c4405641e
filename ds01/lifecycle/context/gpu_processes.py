"""What root's tick saw of the processes on the GPUs, for users from whom the kernel hides others' (`hidepid`).

NVML shows everybody the process ids. The name and the container stand below /proc, which may be hidden; a process
without either counts as use by nobody knows whom, even where the policy ignores its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from ds01.gpus.model import GpuObservation, GpuProcess
from ds01.system.data import DataError, format_time, parse_time

MAX_AGE = timedelta(minutes=15)  # several ticks; a process id is not used again so soon


def processes_document(observation: GpuObservation, now: datetime) -> dict[str, Any]:
    """Return what the tick keeps: the named processes of each slot, by the slot's UUID."""
    slots = {
        slot.uuid: [
            {"pid": process.pid, "name": process.name, "container": process.container}
            for process in slot.processes or ()
            if process.name is not None
        ]
        for slot in observation.slots
    }
    return {"at": format_time(now), "slots": {uuid: found for uuid, found in slots.items() if found}}


def has_hidden_processes(observation: GpuObservation) -> bool:
    """Return whether a process has neither a name nor a container: it has ended, or it is hidden."""
    return any(_is_hidden(process) for slot in observation.slots for process in slot.processes or ())


def with_kept_names(observation: GpuObservation, kept: Mapping[str, Any], now: datetime) -> GpuObservation:
    """Return the observation with the names and containers that the tick saw, unless that was too long ago."""
    try:
        if not timedelta(0) <= now - parse_time(kept["at"]) <= MAX_AGE:
            return observation
        seen = {
            (uuid, item["pid"]): GpuProcess(item["pid"], str(item["name"]), item.get("container"))
            for uuid, items in kept["slots"].items()
            for item in items
        }
    except (DataError, KeyError, TypeError, AttributeError):
        return observation  # no tick has written it yet, or it is damaged: then nothing more is known
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
