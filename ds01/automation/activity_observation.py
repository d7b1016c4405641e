"""Observe running containers for the tick: counters, GPUs, and the owner's `.keep-alive` file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum
from functools import partial
from pathlib import Path

from ds01.automation.activity import Activity, Sample, assess
from ds01.errors import Ds01Error
from ds01.gpus.model import GpuObservation, Slot
from ds01.lifecycle.context.context import Context
from ds01.records.deadlines import last_activity
from ds01.records.record import Record
from ds01.system.as_user import run_as_uid
from ds01.system.data import DataError, from_json

KEEP_ALIVE_FILE = ".keep-alive"
WORKSPACE_DELETED_AFTER = timedelta(days=1)


class KeepAlive(str, Enum):
    """What a workspace says about an idle stop of its container."""

    ABSENT = "absent"
    KEPT = "kept"
    UNKNOWN = "unknown"
    GONE = "gone"  # the workspace is missing


def stored_activity(record: Record) -> Activity | None:
    """Return the activity in a record; None if it has none, or in another form."""
    try:
        return from_json(Activity, dict(record.activity)) if record.activity else None
    except DataError:
        return None


def observe_activity(context: Context, record: Record, gpus: GpuObservation) -> Activity:
    """Sample a running or paused container, and return its activity. The idle time of a paused one continues."""
    before = stored_activity(record)
    sample = Sample(at=context.clock(), started_at=record.engine_started_at)
    with suppress(Ds01Error):  # it stopped meanwhile, or cannot be read: unknown, on which nothing is destroyed
        pid = before.sample.pid if before is not None else None
        usage = context.engine.usage(record.docker_id or "", pid=pid)
        sample = replace(
            sample, cpu_nanoseconds=usage.cpu_nanoseconds, network_bytes=usage.network_bytes, pid=usage.pid
        )
    slots = _leased_slots(record, {slot.uuid: slot for slot in gpus.slots})
    sample = replace(sample, gpu_percent=_utilisation(slots, gpus), gpu_processes=_processes(slots, record.docker_id))
    if before is None and record.activity:
        # The stored activity cannot be read any more; counting from the start would be a guess.
        return Activity(sample, last_activity(record) or sample.at, "unknown", "its earlier activity is lost")
    return assess(before, sample, context.rules.policy.policies)


def was_restarted(record: Record, activity: Activity) -> bool:
    """Return whether a container's process 1 has changed since the last sample."""
    before = stored_activity(record)
    return (
        before is not None
        and None not in (before.sample.pid, activity.sample.pid)
        and (before.sample.pid != activity.sample.pid)
    )


def with_workspace_answer(context: Context, record: Record, activity: Activity) -> Activity:
    """Return the activity with the workspace's answer to an idle stop that is due."""
    now = context.clock()
    before = stored_activity(record)
    answer = read_keep_alive(record, now=now, longest=context.rules.policy.policies.keep_alive_max)
    since = (before.gone_since if before is not None else None) or now
    return replace(activity, keep_alive=answer.value, gone_since=since if answer is KeepAlive.GONE else None)


def workspace_holds_off_stop(record: Record, *, now: datetime, longest: timedelta | None) -> bool | None:
    """Return whether the workspace puts off the idle stop; None if unknown.

    A missing workspace may be on a disk that is not mounted; after a day it counts as deleted.
    """
    answer = read_keep_alive(record, now=now, longest=longest)
    if answer is KeepAlive.GONE:
        activity = stored_activity(record)
        since = activity.gone_since if activity is not None else None
        return False if since is not None and now - since >= WORKSPACE_DELETED_AFTER else None
    return {KeepAlive.KEPT: True, KeepAlive.ABSENT: False}.get(answer)


def read_keep_alive(record: Record, *, now: datetime, longest: timedelta | None) -> KeepAlive:
    """Return the workspace's current answer. `longest`: how long the file counts, from its mtime.

    Read with the owner's rights: root may have none in a home on NFS.
    """
    if record.workspace is None:
        return KeepAlive.ABSENT
    answer: str | None
    if os.geteuid() not in (0, record.uid):
        answer = _read_keep_alive_file(record.workspace)
    else:
        # With the groups: a project's directory may be open to its group only.
        groups = os.getgrouplist(record.user, record.gid)
        answer = run_as_uid(record.uid, record.gid, partial(_read_keep_alive_file, record.workspace), groups=groups)
    if answer is None:
        return KeepAlive.UNKNOWN
    if answer in (KeepAlive.ABSENT.value, KeepAlive.GONE.value, KeepAlive.UNKNOWN.value):
        return KeepAlive(answer)
    modified, inode_changed = (float(part) for part in answer.split())
    since = modified if modified <= now.timestamp() else min(modified, inode_changed)
    is_in_force = longest is None or now.timestamp() - since <= longest.total_seconds()
    return KeepAlive.KEPT if is_in_force else KeepAlive.ABSENT


def _read_keep_alive_file(workspace: str) -> str:
    try:
        status = os.lstat(f"{workspace}/{KEEP_ALIVE_FILE}")
        return f"{status.st_mtime} {status.st_ctime}"  # `touch` can set a mtime in the future, but no ctime
    except FileNotFoundError:
        return "absent" if Path(workspace).is_dir() else "gone"
    except OSError:
        return "unknown"


def _leased_slots(record: Record, slots: Mapping[str, Slot]) -> list[Slot]:
    return [slots[ref.uuid] for ref in record.lease.slots if ref.uuid in slots] if record.lease else []


def _utilisation(slots: list[Slot], gpus: GpuObservation) -> float | None:
    """Return the utilisation of the busiest slot, in percent; None: unknown."""
    return max((value for value in map(gpus.utilisation_of, slots) if value is not None), default=None)


def _processes(slots: list[Slot], docker_id: str | None) -> tuple[int, ...] | None:
    if any(slot.processes is None for slot in slots):
        return None
    pids = {process.pid for slot in slots for process in slot.processes or () if process.container == docker_id}
    return tuple(sorted(pids))
