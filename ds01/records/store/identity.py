"""Identify the installation of a state directory, and the engine that its records are about.

A wrong answer would free every lease. The engine's id alone is not enough: before Docker 23 it survives the loss of
all containers, for example when the disk with Docker's data is not mounted. So the data root's device and inode are
stored too, and an engine that lists a recorded container is accepted.
"""

from __future__ import annotations

import os
import re
import secrets
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from ds01.dataclass import dataclass
from ds01.errors import Ds01Error, EngineUnreachable
from ds01.system import files
from ds01.system.data import DataError, format_time, parse_json, parse_time

MIN_VANISHED = 2  # so many recorded containers hardly vanish at the same time
CONFIRM_AFTER = timedelta(minutes=2)  # a second observation at least this much later is believed

_ID = re.compile(r"[0-9a-f]{32}")
_ROOT = re.compile(r"root (?P<device>[0-9]{1,20}) (?P<inode>[0-9]{1,20})")
_MISSING = re.compile(r"missing (?P<since>\S+)")


def installation_id(state: Path, folders: Collection[Path], *, mode: int) -> str:
    """Return the installation's id; a state directory without records gets a new one.

    `folders`: the directories of the records. Raises Ds01Error if there are records but no valid id; OSError.
    """
    path = state / "installation"
    while True:
        try:
            content = files.read(path).decode("utf-8", "replace").strip()
        except FileNotFoundError:
            pass
        else:
            if _ID.fullmatch(content):
                return content
            raise _missing_id_error(path, folders, f"it contains {content[:40]!r}" if content else "it is empty")
        if any(True for folder in folders for _ in _record_paths(folder)) and not os.path.lexists(path):
            raise _missing_id_error(path, folders, "the file is missing, but there are records")
        candidate = state / f".installation.{secrets.token_hex(4)}.tmp"
        files.replace(candidate, secrets.token_hex(16).encode() + b"\n", mode=mode)
        try:
            os.link(candidate, path)  # unlike a rename, this does not overwrite the id of a faster process
        except FileExistsError:
            pass
        finally:
            candidate.unlink()


def _missing_id_error(path: Path, folders: Collection[Path], why: str) -> Ds01Error:
    """Return the error for a missing id. A new id would disown all records and free their GPUs."""
    counts = Counter(identity for folder in folders for identity in _installations(folder))
    if counts:
        stored = counts.most_common(1)[0][0]
        why += f"; {counts[stored]} of {counts.total()} records say {stored}"
        hint = f"write it back as root: echo {stored} | sudo tee {path}"
    else:
        hint = (
            "docker ps -a --format '{{.Names}} {{.Label \"ds01.installation\"}}' shows the id on the containers: write "
            f"it into the file as root; if there is no container, remove {path} as root"
        )
    return Ds01Error(f"{path} does not contain the installation's id", why=why, hint=hint)


def _record_paths(folder: Path) -> Iterator[Path]:
    return (path for path in folder.glob("*.json") if not path.name.startswith("."))


def _installations(folder: Path) -> Iterator[str]:
    for path in _record_paths(folder):
        with suppress(OSError, DataError, AttributeError):
            identity = parse_json(files.read(path)).get("installation")
            if isinstance(identity, str) and _ID.fullmatch(identity):
                yield identity


DataRoot = tuple[int, int]


@dataclass(frozen=True)
class EngineIdentity:
    """The content of the file `engine`.

    It tells which engine the records belong to. `root`: device and inode of the engine's data root. `missing_since`:
    since when the engine has listed none of the recorded containers.
    """

    id: str
    root: DataRoot | None = None
    missing_since: datetime | None = None

    def to_text(self) -> str:
        """Return the file's content; the first line is the id alone, for people."""
        lines = [self.id]
        if self.root is not None:
            lines.append(f"root {self.root[0]} {self.root[1]}")
        if self.missing_since is not None:
            lines.append(f"missing {format_time(self.missing_since)}")
        return "\n".join(lines) + "\n"

    @staticmethod
    def from_text(text: str) -> EngineIdentity:
        """Parse a file's content. Lines of unknown form are ignored."""
        lines = text.splitlines() or [""]
        mark = EngineIdentity(lines[0].strip())
        for line in lines[1:]:
            if match := _ROOT.fullmatch(line.strip()):
                mark = replace(mark, root=(int(match["device"]), int(match["inode"])))
            elif match := _MISSING.fullmatch(line.strip()):
                with suppress(DataError):
                    mark = replace(mark, missing_since=parse_time(match["since"]))
        return mark


def data_root_of(folder: str | None) -> DataRoot | None:
    """Return device and inode of the engine's data root; None if it has none, or this user cannot see it."""
    if folder is None:
        return None
    try:
        status = Path(folder).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def needs_container_list(stored: EngineIdentity | None, current: EngineIdentity) -> bool:
    """Return whether id and data root alone do not prove that this is the engine of last time."""
    return stored is None or (stored.id, stored.root, stored.missing_since) != (
        current.id,
        current.root or stored.root,
        None,
    )


def compare_engines(
    stored: EngineIdentity | None,
    current: EngineIdentity,
    *,
    listed: Collection[str],
    recorded: Collection[str],
    at: datetime,
) -> tuple[EngineIdentity, str | None]:
    """Compare the engine with the one of last time. Return what to store, and why not to trust it, or None. Pure.

    `listed`: the ids of its containers; `recorded`: those in the records. `stored` is None if an administrator deleted
    the file, which means that this engine is to be trusted.
    """
    if stored is None or not recorded or not set(recorded).isdisjoint(listed):
        if stored is not None and stored.id not in ("", current.id):
            return stored, f"its id is {current.id}; the state directory has {stored.id}"
        return replace(current, root=current.root or (stored.root if stored else None)), None
    if stored.id != current.id:
        return stored, f"its id is {current.id}; the state directory has {stored.id or 'none'}"
    count = "the one container" if len(recorded) == 1 else f"any of the {len(recorded)} containers"
    if stored.root is not None and stored.root != current.root:
        where = "cannot be read" if current.root is None else "has changed"
        return stored, f"its data root {where}, and it does not list {count} in ds01's records"
    if len(recorded) < MIN_VANISHED:
        return current, None
    since = stored.missing_since
    if since is None or since > at:  # a clock that was set back
        return replace(stored, missing_since=at), f"it does not list {count} in ds01's records"
    if at - since < CONFIRM_AFTER:
        return stored, f"since {format_time(since)} it does not list {count} in ds01's records"
    return current, None


def engine_changed_error(why: str, path: Path, *, same_id: bool) -> EngineUnreachable:
    """Return the error for an engine that is not trusted."""
    if not same_id:
        hint = f"if Docker was installed again, remove {path} as root"
        return EngineUnreachable("this is not the same Docker as last time", why=why, hint=hint)
    return EngineUnreachable(
        "Docker has lost its containers, or is not the same Docker as last time",
        why=why,
        hint=f"check that the disk with Docker's data is mounted; if they are gone for good, remove {path} as root",
    )
