"""Check the state directory: its modes, its disk, gpu-state.json, and the clock. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

from ds01.host.checks.facts import DOCKER_DATA, DoctorFacts, FileEntry, GpuStateFile
from ds01.host.checks.findings import (
    CreateDirectory,
    Finding,
    Fix,
    Level,
    RewriteGpuState,
    SetMode,
    error,
    join_few,
    warning,
)
from ds01.policy.units import readable_size
from ds01.records.ledger import UnreadableRecord
from ds01.records.record import Record
from ds01.records.store.gpu_state import gpu_state_allocations
from ds01.system.disks import Disk

LOW_BYTES = 1 << 30
FULL_BYTES = 100 << 20
FULL_FILES = 1000
CLOCK_TOLERANCE = timedelta(minutes=5)  # times of two programs never agree to the second


def state_directory(facts: DoctorFacts) -> Iterator[Finding]:
    """Check that the state directory can be used."""
    problem = facts.ledger_problem
    if problem is not None:
        yield error("state", problem.message, problem.why, problem.hint)
    elif facts.unwritable is not None:
        yield error("state", f"{facts.state} cannot be written", facts.unwritable,
                    "every command that changes something fails until this is fixed")  # fmt: skip


def modes(facts: DoctorFacts) -> Iterator[Finding]:
    """Check modes, owners and groups of the state directory's files. A single `umask 077` locks out everybody else."""
    wrong = [(entry, problem) for entry in facts.entries if (problem := _describe_wrong_access(entry))]
    if not wrong:
        return
    fixes: list[Fix] = []
    for entry, _ in wrong:
        if entry.mode is None:
            fixes.append(CreateDirectory(entry.path, entry.want_mode, entry.want_gid))
        else:
            fixes.append(SetMode(entry.path, entry.want_mode, entry.want_uid, entry.want_gid))
    yield error(
        "state-modes",
        join_few([f"{entry.path} {problem}" for entry, problem in wrong], 3),
        "users share this directory through the group docker: without write access they cannot use ds01",
        "sudo ds01 doctor --fix",
        tuple(fixes),
    )


def space(facts: DoctorFacts) -> Iterator[Finding]:
    """Check that the disks have space, and name the stopped containers that fill Docker's."""
    for disk in facts.disks or ():
        level = disk_level(disk)
        if level is None:
            continue
        why = f"it contains {', '.join(disk.holds)}; a full disk stops all of it"
        hint = "`docker system df` shows what Docker's data uses"
        largest = sorted(facts.stopped, key=lambda item: -item.size_bytes) if DOCKER_DATA in disk.holds else []
        if largest:
            words = [f"{item.container} of {item.user} ({readable_size(item.size_bytes)})" for item in largest]
            why += f". Stopped containers: {join_few(words, 3)}"
            hint = f"owners remove theirs with `container-cleanup`, root with `--user {largest[0].user}`; {hint}"
        yield Finding(
            "space",
            level,
            f"{disk.path} has {readable_size(disk.free_bytes)} and {disk.free_files} files left of "
            f"{readable_size(disk.total_bytes)}",
            why,
            hint,
        )


def disk_level(disk: Disk) -> Level | None:
    """Return the severity of a disk's low space; None if it has enough."""
    if disk.free_bytes < FULL_BYTES or (disk.total_files > 0 and disk.free_files < FULL_FILES):
        return Level.ERROR
    return Level.WARNING if disk.free_bytes < min(LOW_BYTES, disk.total_bytes // 20) else None


def describe_space(facts: DoctorFacts) -> str:
    """Return what the disks have space for, in one line."""
    return f"there is room for {', '.join(what for disk in facts.disks or () for what in disk.holds)}"


def gpu_state(facts: DoctorFacts) -> Iterator[Finding]:
    """Compare gpu-state.json with the records."""
    if facts.ledger_problem is not None:
        return
    wrong = differing_containers(facts.records, facts.unreadable, facts.gpu_state)
    if facts.gpu_state.problem is not None:
        description = f"gpu-state.json cannot be read: {facts.gpu_state.problem}"
    elif not wrong:
        return
    elif facts.gpu_state.shown is None:
        description = "gpu-state.json is missing"
    else:
        description = f"gpu-state.json does not match the leases of {join_few(wrong, 3)}"
    yield warning(
        "picture",
        description,
        "people and older scripts read it; ds01 itself uses the records",
        "the next command that changes a record rewrites it, or sudo ds01 doctor --fix",
        (RewriteGpuState(),),
    )


def differing_containers(
    records: Iterable[Record], unreadable: Iterable[UnreadableRecord], gpu_state: GpuStateFile
) -> list[str]:
    """Return the containers whose entry in gpu-state.json differs from their record, or is missing in one of the two.

    The entry of a container whose record cannot be read is not compared.
    """
    expected, shown = gpu_state_allocations(records), dict(gpu_state.shown or {})
    for entry in unreadable:
        shown.pop(entry.container_name, None)
    return sorted(name for name in expected.keys() | shown.keys() if expected.get(name) != shown.get(name))


def clock(facts: DoctorFacts) -> Iterator[Finding]:
    """Check that the clock is not behind recorded times."""
    if facts.tick.started_at is not None and facts.tick.started_at > facts.now + CLOCK_TOLERANCE:
        yield _clock_finding(facts, f"the last tick was at {facts.tick.started_at:%Y-%m-%d %H:%M} UTC")
        return
    for record in facts.records:
        if record.last_change > facts.now + CLOCK_TOLERANCE:
            yield _clock_finding(facts, f"{record.container_name} changed at {record.last_change:%Y-%m-%d %H:%M} UTC")
            return


def _clock_finding(facts: DoctorFacts, what: str) -> Finding:
    return warning(
        "clock",
        f"it is {facts.now:%Y-%m-%d %H:%M} UTC, but {what}",
        "the clock was set back: holds and timeouts count from times in the future",
        "`timedatectl` shows whether the time is synchronised",
    )


def _describe_wrong_access(entry: FileEntry) -> str | None:
    if entry.mode is None:
        return "is missing"
    if entry.mode != entry.want_mode:
        sticky = " (in a sticky directory, users cannot replace each other's files)" if entry.mode & 0o1000 else ""
        return f"has mode {entry.mode:04o}, not {entry.want_mode:04o}{sticky}"
    if entry.want_uid is not None and entry.uid != entry.want_uid:
        return f"belongs to uid {entry.uid}, not {entry.want_uid}"
    if entry.want_gid is not None and entry.gid != entry.want_gid:
        return f"belongs to gid {entry.gid}, not {entry.want_gid}"
    return None
