"""Checks of the state folder, and of the records against Docker, NVML and their labels. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta

from ds01.engines.protocol import EngineContainer, Status
from ds01.gpus.occupancy import labelled_uuids
from ds01.host.facts import Entry, Facts
from ds01.host.findings import Finding, MakeFolder, Reconcile, Repair, SetMode, error, few, warning
from ds01.lifecycle.judge import differs
from ds01.lifecycle.record import Record
from ds01.lifecycle.world import is_manual

FEW_BYTES = 1 << 30
FULL_BYTES = 100 << 20
FULL_FILES = 1000
LATER = timedelta(minutes=5)  # clocks of two programs never agree to the second


def folder(facts: Facts) -> Iterator[Finding]:
    """Whether the state folder can be used at all."""
    problem = facts.ledger_problem
    if problem is not None:
        yield error("state", problem.message, problem.why, problem.hint)


def modes(facts: Facts) -> Iterator[Finding]:
    """Modes, owners and groups of the state folder's files. One `umask 077` shuts everybody else out."""
    wrong = [(entry, problem) for entry in facts.entries if (problem := _wrong(entry))]
    if not wrong:
        return
    repairs: list[Repair] = []
    for entry, _ in wrong:
        if entry.mode is None:
            repairs.append(MakeFolder(entry.path, entry.want_mode, entry.want_gid))
        else:
            repairs.append(SetMode(entry.path, entry.want_mode, entry.want_uid, entry.want_gid))
    yield error(
        "state-modes",
        few([f"{entry.path} {problem}" for entry, problem in wrong], 3),
        "users share this folder through the group docker: who cannot write there cannot use ds01",
        "sudo ds01 doctor --fix",
        tuple(repairs),
    )


def space(facts: Facts) -> Iterator[Finding]:
    """Whether the disks are full, or soon are."""
    for disk in facts.disks:
        full = disk.free_bytes < FULL_BYTES or (disk.total_files > 0 and disk.free_files < FULL_FILES)
        if full or disk.free_bytes < min(FEW_BYTES, disk.total_bytes // 20):
            kind = error if full else warning
            yield kind(
                "space",
                f"{disk.path} has {disk.free_bytes >> 20} MiB and {disk.free_files} files left of "
                f"{disk.total_bytes >> 20} MiB",
                f"{disk.what} lies there; nothing can be recorded on a full disk",
                "`container-cleanup` and `docker system df` show what takes room",
            )


def unreadable(facts: Facts) -> Iterator[Finding]:
    """Records that do not parse: rebuilt from their containers' labels, or set aside."""
    for entry in facts.unreadable:
        yield error(
            "records-unreadable",
            f"the record of {entry.container_name} cannot be read: {entry.why}",
            "its GPUs count as taken until it is rebuilt from its container's labels",
            "sudo ds01 doctor --fix, or wait for the next tick",
            (Reconcile(),),
        )


def docker(facts: Facts) -> Iterator[Finding]:
    """Records against what Docker has, in both directions. What a command is at work on is left alone."""
    if facts.engine is None:
        return
    by_id = {container.id: container for container in facts.containers}
    for record in facts.records:
        seen = by_id.get(record.docker_id or "")
        if is_manual(record) or record.container_name in facts.busy or not differs(record, seen):
            continue
        yield warning(
            "records-docker",
            f"{record.container_name} {_difference(record, seen)}",
            "it changed behind ds01, or a command was killed",
            "the next tick records it, and so does sudo ds01 doctor --fix",
            (Reconcile(),),
        )
    known = {record.docker_id for record in facts.records} | {None}
    names = {entry.container_name for entry in facts.unreadable} | {record.container_name for record in facts.records}
    for container in facts.containers:
        if container.id in facts.ours - known and container.name not in names | facts.busy:
            yield warning(
                "records-missing",
                f"the container {container.name} has no record",
                "its labels say that ds01 made it; its GPUs count as taken",
                "the next tick makes one from the labels, and so does sudo ds01 doctor --fix",
                (Reconcile(),),
            )


def labels(facts: Facts) -> Iterator[Finding]:
    """Records against the labels that their containers were made with."""
    by_id = {container.id: container for container in facts.containers}
    for record in facts.records:
        seen = by_id.get(record.docker_id or "")
        if seen is None or "ds01.id" not in seen.labels:
            continue
        wrong = []
        if seen.labels["ds01.id"] != record.id:
            wrong.append(f"the label ds01.id is {seen.labels['ds01.id']}, the record's id {record.id}")
        if seen.labels.get("ds01.uid") != str(record.uid):
            wrong.append(f"the label ds01.uid is {seen.labels.get('ds01.uid')}, the record's owner {record.uid}")
        if set(labelled_uuids(seen.labels)) != {ref.uuid for ref in record.gpus_fixed}:
            wrong.append(
                f"the labels name GPU {seen.labels.get('ds01.gpu.slots') or 'none'}, the record "
                f"{','.join(ref.slot for ref in record.gpus_fixed) or 'none'}"
            )
        if wrong:
            yield error(
                "records-labels",
                f"{record.container_name}: {'; '.join(wrong)}",
                "labels are fixed when the container is made, so the record was edited or belongs to another",
                f"container-retire {record.name} --user {record.user}, after its work is done",
            )


def leases(facts: Facts) -> Iterator[Finding]:
    """Leases against each other and against what NVML has; containers on GPUs that somebody else has."""
    holders: dict[str, list[str]] = defaultdict(list)
    for record in facts.records:
        for ref in record.lease.slots if record.lease else ():
            holders[ref.uuid].append(record.container_name)
    for uuid, names in holders.items():
        if len(names) > 1:
            yield error(
                "leases-doubled",
                f"{uuid} is leased to {' and '.join(sorted(names))}",
                "two containers share one GPU",
                "container-retire ends one of them",
            )
    if facts.observation is not None:
        there = {slot.uuid for slot in facts.observation.slots}
        for record in facts.records:
            lost = [ref for ref in (record.lease.slots if record.lease else ()) if ref.uuid not in there]
            if lost:
                yield warning(
                    "leases-lost",
                    f"{record.container_name} has GPU {', '.join(ref.slot for ref in lost)}, which is gone",
                    "MIG instances are gone after a reboot, unless they are made again with the same UUIDs",
                    f"container-start {record.name} --recreate --user {record.user}",
                )
    for record in facts.records:
        if record.conflict:
            yield error(
                "conflicts",
                f"{record.container_name}: {record.conflict}",
                "it was started behind ds01; the tick stops it after a warning",
                f"container-stop {record.name} --user {record.user}",
            )


def clock(facts: Facts) -> Iterator[Finding]:
    """Whether the clock stands before what has happened already."""
    if facts.tick.started_at is not None and facts.tick.started_at > facts.now + LATER:
        yield _early(facts, f"the last tick was at {facts.tick.started_at:%Y-%m-%d %H:%M} UTC")
        return
    for record in facts.records:
        if record.last_change > facts.now + LATER:
            yield _early(facts, f"{record.container_name} changed at {record.last_change:%Y-%m-%d %H:%M} UTC")
            return


def _early(facts: Facts, what: str) -> Finding:
    return warning(
        "clock",
        f"it is {facts.now:%Y-%m-%d %H:%M} UTC, and {what}",
        "the clock was set back: holds and timeouts count from times that are still to come",
        "`timedatectl` shows whether the time is synchronised",
    )


def _wrong(entry: Entry) -> str | None:
    if entry.mode is None:
        return "is not there"
    if entry.mode != entry.want_mode:
        sticky = " (a sticky folder hides others' files from those who must write them)" if entry.mode & 0o1000 else ""
        return f"has mode {entry.mode:04o}, not {entry.want_mode:04o}{sticky}"
    if entry.want_uid is not None and entry.uid != entry.want_uid:
        return f"belongs to uid {entry.uid}, not {entry.want_uid}"
    if entry.want_gid is not None and entry.gid != entry.want_gid:
        return f"belongs to gid {entry.gid}, not {entry.want_gid}"
    return None


def _difference(record: Record, seen: EngineContainer | None) -> str:
    if record.pending is not None:
        return f"was left in the middle of `{record.pending.trigger.value}` by {record.pending.actor}"
    if seen is None:
        return f"is {record.state.value} in its record, and Docker does not have it"
    now = "is paused" if seen.status is Status.PAUSED else f"is {seen.status.value}"
    return f"{now} in Docker, and its record says {'paused' if record.paused else record.state.value}"
