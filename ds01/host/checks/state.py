"""Checks of the state folder: its modes, its disk, its picture of the leases, and the clock. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

from ds01.host.checks.facts import DOCKERS, Disk, Entry, Facts, Picture
from ds01.host.checks.findings import Finding, Level, MakeFolder, Redraw, Repair, SetMode, error, few, warning
from ds01.policy.units import readable_size
from ds01.records.ledger import Unreadable
from ds01.records.record import Record
from ds01.records.store.picture import allocations

FEW_BYTES = 1 << 30
FULL_BYTES = 100 << 20
FULL_FILES = 1000
LATER = timedelta(minutes=5)  # clocks of two programs never agree to the second


def folder(facts: Facts) -> Iterator[Finding]:
    """Whether the state folder can be used at all."""
    problem = facts.ledger_problem
    if problem is not None:
        yield error("state", problem.message, problem.why, problem.hint)
    elif facts.unwritable is not None:
        yield error("state", f"nothing can be written into {facts.state}", facts.unwritable,
                    "every command that changes something fails until that is mended")  # fmt: skip


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
    """Whether the disks are full, or soon are; and which stopped containers fill Docker's."""
    for disk in facts.disks or ():
        level = fullness(disk)
        if level is None:
            continue
        why = f"{', '.join(disk.holds)} lie{'s' if len(disk.holds) == 1 else ''} there; a full disk stops all of it"
        hint = "`docker system df` shows what Docker's data takes"
        biggest = sorted(facts.stopped, key=lambda item: -item.size_bytes) if DOCKERS in disk.holds else []
        if biggest:
            words = [f"{item.container} of {item.user} ({readable_size(item.size_bytes)})" for item in biggest]
            why += f". Stopped containers: {few(words, 3)}"
            hint = f"their owners remove them with `container-cleanup`, root with `--user {biggest[0].user}`; {hint}"
        yield Finding(
            "space",
            level,
            f"{disk.path} has {readable_size(disk.free_bytes)} and {disk.free_files} files left of "
            f"{readable_size(disk.total_bytes)}",
            why,
            hint,
        )


def fullness(disk: Disk) -> Level | None:
    """How bad it is that a disk has so little left; None if it has enough."""
    if disk.free_bytes < FULL_BYTES or (disk.total_files > 0 and disk.free_files < FULL_FILES):
        return Level.ERROR
    return Level.WARNING if disk.free_bytes < min(FEW_BYTES, disk.total_bytes // 20) else None


def room_words(facts: Facts) -> str:
    """What there is room for."""
    return f"there is room for {', '.join(what for disk in facts.disks or () for what in disk.holds)}"


def picture(facts: Facts) -> Iterator[Finding]:
    """gpu-state.json against the records."""
    if facts.ledger_problem is not None:
        return
    wrong = drifted(facts.records, facts.unreadable, facts.picture)
    if facts.picture.problem is not None:
        found = f"gpu-state.json cannot be read: {facts.picture.problem}"
    elif not wrong:
        return
    elif facts.picture.shown is None:
        found = "gpu-state.json is not there"
    else:
        found = f"gpu-state.json does not show what {few(wrong, 3)} {'has' if len(wrong) == 1 else 'have'}"
    yield warning(
        "picture",
        found,
        "people and older scripts read it; ds01 itself works from the records",
        "the next command that changes a record draws it anew, and so does sudo ds01 doctor --fix",
        (Redraw(),),
    )


def drifted(records: Iterable[Record], unreadable: Iterable[Unreadable], picture: Picture) -> list[str]:
    """The containers of which the picture shows something else than their records, or one of both nothing.

    Of a container whose record cannot be read the picture may show what it had.
    """
    want, shown = allocations(records), dict(picture.shown or {})
    for entry in unreadable:
        shown.pop(entry.container_name, None)
    return sorted(name for name in want.keys() | shown.keys() if want.get(name) != shown.get(name))


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
