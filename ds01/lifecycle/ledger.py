"""All records of one installation, their folder, their locks. Only this file makes paths in the state folder.

A commit writes one record whole, under the ledger's lock, and redraws gpu-state.json (picture.py).
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import secrets
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ds01.errors import Busy, Ds01Error, EngineUnreachable
from ds01.journal.leases import LeaseLog
from ds01.lifecycle.leasing import lease_lines
from ds01.lifecycle.line import Line
from ds01.lifecycle.machine import State
from ds01.lifecycle.memory import Memory, memory_document, memory_from
from ds01.lifecycle.picture import allocations
from ds01.lifecycle.record import SCHEMA, Record
from ds01.system import files, locks
from ds01.system.data import DataError, format_time, from_json, to_json
from ds01.system.settings import KEPT_POLICY

LEDGER_WAIT = 30.0  # seconds; the lock is held for milliseconds, so a longer wait means a stuck machine
CONTAINER_WAIT = 10.0
REMOVED_KEPT = timedelta(days=30)
# A file system stamps times in steps of up to 10 ms (a kernel with HZ=100), and inodes are used again: a file that was
# read within this time after it was written may have been replaced since without a visible difference.
RACY = 20_000_000  # nanoseconds

Signature = tuple[int, int, int]
_STAMP = re.compile(r"\.([0-9]{8}T[0-9]{6})\.[0-9]{6}Z\.json\Z")


@dataclasses.dataclass(frozen=True)
class Unreadable:
    """A record that does not parse, or is not of this installation or of its file's name."""

    container_name: str
    why: str


class Ledger:
    """The records of the state folder `state`, read when asked for and kept while their files stay the same."""

    def __init__(self, state: Path, *, own: bool = False, leases: LeaseLog | None = None) -> None:
        """Open the state folder; one of one's own (`own`) is made if it is not there. Raises Ds01Error.

        `leases` gets a line for each slot that a commit gives, holds or takes back.
        """
        self.state = state
        self._leases = leases
        self._records = state / "container-metadata"
        self._removed = self._records / "removed"
        self._locks = state / "locks"
        self._queue = state / "queue"
        try:
            if own:
                state.mkdir(mode=0o755, parents=True, exist_ok=True)
            status = state.stat()
            self.owner_uid = status.st_uid
            # A folder that a group shares makes files that the group shares, whatever anybody's umask is.
            # The server's own folder is always shared: if its modes were broken, new files must not be broken too.
            shared = not own or bool(status.st_mode & stat.S_IWGRP)
            self.file_mode = 0o664 if shared else 0o644
            self.folder_mode = 0o2775 if shared else 0o755
            for folder in (self._records, self._removed, self._locks, self._queue):
                files.make_folder(folder, mode=self.folder_mode)
            self.installation = self._installation()
        except OSError as error:
            raise Ds01Error(
                f"the state folder {state} cannot be used",
                why=f"{error.filename or state}: {error.strerror}",
                hint="`sudo ds01 doctor` checks it; users of ds01 are in the group docker",
            ) from error
        self._cache: dict[str, tuple[Signature | None, Record | Unreadable]] = {}
        self._leftovers: set[str] = set()  # those of the cache that say `removed`: a command was killed before filing
        self._scanned: tuple[int, int] = (0, 0)  # the folder's time of change at the last look, and when that was

    def read(self) -> Mapping[str, Record | Unreadable]:
        """All records by container name, `removed` ones left out. Without the lock: a moment's picture."""
        self._refresh()
        if self._leftovers:
            with self.transaction():
                pass  # it files what a killed command left
        return self._entries()

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Hold the ledger's lock, for milliseconds: never across a call of the engine, a prompt or a pull."""
        self._refresh()  # the long part before the lock; under it only what changed since is read again
        with locks.hold(self._locks / "ledger.lock", wait=LEDGER_WAIT, mode=self.file_mode):
            if self._may_have_changed():
                self._refresh()
            transaction = Transaction(self)
            transaction.file_leftovers()
            yield transaction

    def container_lock(
        self, container_name: str, *, doing: str, wait: float = CONTAINER_WAIT
    ) -> AbstractContextManager[None]:
        """Hold one container's lock across the engine's calls of one command. Raises Busy."""
        return locks.hold(self._container_lock(container_name), wait=wait, mode=self.file_mode, doing=doing)

    def container_lock_is_free(self, container_name: str) -> bool:
        """Whether no command works on the container now."""
        return locks.is_free(self._container_lock(container_name))

    def was_removed(self, identity: str) -> bool:
        """Whether a record with this id is among the removed ones."""
        for path in self._removed.glob("*.json"):
            try:
                if json.loads(files.read(path)).get("id") == identity:
                    return True
            except (OSError, ValueError, AttributeError):
                continue
        return False

    def removed(self) -> list[Record]:
        """The removed records that are still kept and readable."""
        found = []
        for path in sorted(self._removed.glob("*.json")):
            try:
                found.append(from_json(Record, json.loads(files.read(path))))
            except (OSError, ValueError):
                continue
        return found

    def removed_as(self, container_name: str) -> list[Record]:
        """The removed records of containers with this full name that are still kept and readable."""
        found = []
        for path in self._removed.glob("*.json"):
            stamp = _STAMP.search(path.name)
            if stamp is not None and path.name[: stamp.start()] == container_name:
                with suppress(OSError, ValueError, RecursionError):
                    found.append(from_json(Record, json.loads(files.read(path))))
        return found

    def forget_removed(self, *, before: datetime) -> None:
        """Delete the removed records whose last change is older than `before`."""
        for path in self._removed.glob("*.json"):
            with suppress(OSError):
                # The time of removal is in the name, which spares reading each of them at every tick.
                stamp = _STAMP.search(path.name)
                if stamp is not None and stamp[1] < before.strftime("%Y%m%dT%H%M%S"):
                    path.unlink()

    def line(self) -> Line:
        """Who waits for a GPU."""
        return Line(self._queue, mode=self.file_mode)

    def changed_at(self) -> int:
        """A number that changes with every commit, and whenever somebody joins or leaves the waiting line."""
        return self._records.stat().st_mtime_ns + self._queue.stat().st_mtime_ns

    def tick_lock(self) -> AbstractContextManager[None]:
        """The lock that lets one tick run at a time. Raises Busy at once."""
        return locks.hold(self._locks / "tick.lock", wait=0, mode=self.file_mode, doing="a tick runs")

    def tick(self) -> dict[str, Any]:
        """What tick.json says; nothing if it is not there or cannot be read."""
        return self._document("tick.json")

    def gpu_processes(self) -> dict[str, Any]:
        """Return the processes on the GPUs that the last tick saw; nothing if that cannot be read."""
        return self._document("tick-processes.json")

    def write_gpu_processes(self, document: Mapping[str, object]) -> None:
        """Keep the processes on the GPUs that a tick saw, for everybody to read. Raises OSError."""
        content = json.dumps(document, ensure_ascii=False).encode() + b"\n"
        files.replace(self.state / "tick-processes.json", content, mode=0o644, durable=False)

    def _document(self, name: str) -> dict[str, Any]:
        try:
            document = json.loads(files.read(self.state / name))
        except (OSError, ValueError, RecursionError):
            return {}
        return document if isinstance(document, dict) else {}

    def write_tick(self, report: Mapping[str, object]) -> None:
        """Keep what the last tick did, in tick.json. Raises OSError."""
        content = json.dumps(report, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        files.replace(self.state / "tick.json", content, mode=0o644)

    @property
    def kept_policy(self) -> Path:
        """The folder with the tick's copy of the last good policy."""
        return self.state / KEPT_POLICY

    def tick_memory(self) -> Memory:
        """Return what the last tick remembered; an empty memory if there is none, or it cannot be read."""
        try:
            return memory_from(json.loads(files.read(self.state / "tick-memory.json")))
        except (OSError, ValueError, RecursionError):
            return Memory()

    def write_tick_memory(self, memory: Memory) -> None:
        """Keep what the next tick should know. Raises OSError."""
        content = json.dumps(memory_document(memory)).encode() + b"\n"
        files.replace(self.state / "tick-memory.json", content, mode=0o644)

    def check_engine(self, identity: str) -> None:
        """Compare the engine's id with the one of last time; the first one is kept.

        Raises EngineUnreachable if it is another: what it does not have has not vanished.
        """
        path = self.state / "engine"
        try:
            known = self._engine_before(path)
            if known is None:
                files.replace(path, identity.encode() + b"\n", mode=self.file_mode)
        except OSError as error:
            raise Ds01Error(f"{path} cannot be read or written", why=str(error.strerror)) from error
        if known not in (None, identity):
            raise EngineUnreachable(
                "this is another Docker than last time",
                why=f"its id is {identity}, the state folder knows {known}",
                hint=f"if Docker was set up anew, an administrator removes {path}",
            )

    @staticmethod
    def _engine_before(path: Path) -> str | None:
        try:
            return files.read(path).decode("utf-8", "replace").strip()
        except FileNotFoundError:
            return None

    def _container_lock(self, container_name: str) -> Path:
        return self._locks / f"{container_name}.lock"

    def _installation(self) -> str:
        path = self.state / "installation"
        while True:
            try:
                return files.read(path).decode().strip()
            except FileNotFoundError:
                pass
            candidate = self.state / f".installation.{secrets.token_hex(4)}"
            files.replace(candidate, secrets.token_hex(16).encode() + b"\n", mode=self.file_mode)
            try:
                os.link(candidate, path)  # unlike a rename it does not overwrite the id of whoever was quicker
            except FileExistsError:
                pass
            finally:
                candidate.unlink()

    def _entries(self) -> dict[str, Record | Unreadable]:
        gone = self._leftovers
        return {name: entry for name, (_, entry) in self._cache.items() if name not in gone}

    def _may_have_changed(self) -> bool:
        """Whether a record was written since the last look: each write is a rename, which changes the folder's time."""
        changed, looked = self._scanned
        return self._records.stat().st_mtime_ns != changed or looked - changed <= RACY

    def _refresh(self) -> None:
        self._scanned = (self._records.stat().st_mtime_ns, time.time_ns())
        seen = {}
        with os.scandir(self._records) as entries:
            for entry in entries:
                if entry.name.endswith(".json") and not entry.name.startswith("."):
                    try:
                        status = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    seen[entry.name[: -len(".json")]] = (status.st_ino, status.st_mtime_ns, status.st_size)
        for name in self._cache.keys() - seen.keys():
            del self._cache[name]
        for name, signature in seen.items():
            known = self._cache.get(name)
            if known is None or known[0] != signature:
                self._load(name, signature)
        self._leftovers = {name for name, (_, entry) in self._cache.items() if _is_removed(entry)}

    def _load(self, name: str, signature: Signature) -> None:
        try:
            content = files.read(self._records / f"{name}.json")
            record = from_json(Record, json.loads(content))
            if record.container_name != name:
                raise DataError(f"it is the record of {record.container_name}")
            if record.installation != self.installation:
                raise DataError("it is of another installation")
            if record.schema != SCHEMA:
                raise DataError(f"its schema is {record.schema}, this ds01 knows {SCHEMA}")
            settled = time.time_ns() - signature[1] > RACY
            self._cache[name] = (signature if settled else None, record)
        except FileNotFoundError:
            self._cache.pop(name, None)
        except PermissionError as error:
            raise Ds01Error(
                f"the record of {name} cannot be read",
                why=str(error.strerror),
                hint="`sudo ds01 doctor` checks the modes; users of ds01 are in the group docker",
            ) from error
        except (OSError, ValueError, RecursionError) as error:
            self._cache[name] = (signature, Unreadable(name, str(error)))


class Transaction:
    """The ledger while its lock is held."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known: dict[str, Record | Unreadable] | None = None  # drawn up once: there may be hundreds

    @property
    def records(self) -> Mapping[str, Record | Unreadable]:
        """As `Ledger.read`, and now for certain."""
        if self._known is None:
            self._known = self._ledger._entries()
        return self._known

    def commit(self, record: Record, *, now: datetime, durable: bool = True) -> Record:
        """Write a record whole; a removed one moves to its folder. Returns it with its new revision.

        `durable` false: what was merely seen may be lost with the power, and is seen again.

        Raises Busy if the record was changed by somebody else since it was read, Ds01Error if the disk says no.
        """
        known = self._known_as(record)
        record = dataclasses.replace(record, rev=record.rev + 1)
        with self._writing(record):
            self._write(record, durable=durable)
            if record.state is State.REMOVED:
                self._ledger._leftovers.add(record.container_name)
                self._known = None
                self.file_removed(record.container_name, now=now)
        self._show(known, record, now, durable=durable)
        return record

    def succeed(self, gone: Record, new: Record, *, now: datetime) -> Record:
        """Put `new`, which nobody knew, in the place of `gone`, which is removed and has the same name.

        Whoever is killed in between leaves the place as it was. Raises as `commit`.
        """
        known = self._known_as(gone)
        gone = dataclasses.replace(gone, rev=gone.rev + 1)
        new = dataclasses.replace(new, rev=1)
        with self._writing(new):
            if not self._ledger.was_removed(gone.id):  # somebody was killed right here
                path = _unused(self._ledger._removed, f"{gone.container_name}.", ".json", now)
                files.replace(path, _content(gone), mode=self._ledger.file_mode)
            self._write(new, durable=True)
        self._show(known, gone, now, durable=False)
        self._show(None, new, now, durable=True)
        return new

    def relabel(self, records: Iterable[Record], *, now: datetime) -> None:
        """Write records whose slots have other names now, with the revisions that they have. Raises Ds01Error.

        Names are for people. A command that is at work on a container must find the revision it has read; it may
        write the old names back, and the next observation corrects that.
        """
        for record in records:
            with self._writing(record):
                self._write(record, durable=False)
        with suppress(OSError):
            self.draw(now)

    def _known_as(self, record: Record) -> Record | None:
        """What stands where a record is to be written. Raises Busy if that is not what it was made from."""
        known = self.records.get(record.container_name)
        if isinstance(known, Unreadable):
            raise Busy(f"the record of {record.name} cannot be read any more", why=known.why, hint="try again")
        before = None if known is None else (known.id, known.rev)
        if before != ((record.id, record.rev) if record.rev else None):  # only a new one has no revision yet
            raise Busy(f"{record.name} was changed meanwhile", hint="try again")
        return known

    def _write(self, record: Record, *, durable: bool) -> None:
        name = record.container_name
        files.replace(self._path(name), _content(record), mode=self._ledger.file_mode, durable=durable)
        self._ledger._cache[name] = (None, record)
        if self._known is not None:
            self._known = {**self._known, name: record}

    @contextmanager
    def _writing(self, record: Record) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise Ds01Error(
                f"the record of {record.name} cannot be written",
                why=f"{self._path(record.container_name)}: {error.strerror}",
            ) from error

    def _show(self, before: Record | None, after: Record, now: datetime, *, durable: bool) -> None:
        """What others see of a change: the picture, and the log of leases."""
        if durable:
            with suppress(OSError):  # a picture only, which the next commit draws again; the record stands
                self.draw(now)
        if self._ledger._leases is not None:
            self._ledger._leases.write(lease_lines(before, after), now, mode=self._ledger.file_mode)

    def file_removed(self, container_name: str, *, now: datetime) -> None:
        """Move a record that says `removed` to the removed ones."""
        self._path(container_name).replace(_unused(self._ledger._removed, f"{container_name}.", ".json", now))
        files.sync_folder(self._ledger._records)
        del self._ledger._cache[container_name]
        self._ledger._leftovers.discard(container_name)
        self._known = None

    def file_leftovers(self) -> None:
        """Move the records that say `removed` and still lie here: somebody was killed between the two steps."""
        for name in list(self._ledger._leftovers):
            entry = self._ledger._cache[name][1]
            if isinstance(entry, Record):
                with suppress(OSError):  # the next transaction tries again
                    self.file_removed(name, now=entry.last_change)

    def set_aside(self, container_name: str, *, now: datetime) -> None:
        """Move an unreadable record aside; nothing of it is lost."""
        path = self._path(container_name)
        try:
            path.replace(_unused(path.parent, f"{path.name}.corrupt-", "", now))
            files.sync_folder(path.parent)
        except OSError as error:
            raise Ds01Error(f"{path} cannot be moved aside", why=str(error.strerror)) from error
        del self._ledger._cache[container_name]
        self._known = None

    def _path(self, container_name: str) -> Path:
        return self._ledger._records / f"{container_name}.json"

    def draw(self, now: datetime) -> None:
        """Draw gpu-state.json anew. Raises OSError."""
        shown = allocations(record for record in self.records.values() if isinstance(record, Record))
        content = json.dumps({"allocations": shown, "last_updated": format_time(now)}).encode() + b"\n"
        files.replace(self._ledger.state / "gpu-state.json", content, mode=self._ledger.file_mode, durable=False)


def _content(record: Record) -> bytes:
    # A label or a login from outside may hold what is no text; by then Docker has acted, and the record has to say so.
    return json.dumps(to_json(record), ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def _is_removed(entry: Record | Unreadable) -> bool:
    return isinstance(entry, Record) and entry.state is State.REMOVED


def _unused(folder: Path, before: str, after: str, now: datetime) -> Path:
    """A path with the time in its name that nothing has yet: a clock may stand still."""
    while True:
        path = folder / f"{before}{now.strftime('%Y%m%dT%H%M%S.%fZ')}{after}"
        if not os.path.lexists(path):
            return path
        now += timedelta(microseconds=1)
