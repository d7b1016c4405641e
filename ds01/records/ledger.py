"""All records of one installation, their directory and their locks. Only this file builds paths in the state directory.

A commit writes one record atomically, under the ledger's lock, and rewrites gpu-state.json (transaction.py).
"""

from __future__ import annotations

import json
import stat
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ds01.dataclass import dataclass
from ds01.engines.protocol import EngineInfo
from ds01.errors import Ds01Error
from ds01.journal.events import Emit
from ds01.journal.lease_log import LeaseLog
from ds01.journal.outbox import Outbox
from ds01.records.record import Origin, Record
from ds01.records.store import commits, identity
from ds01.records.store.identity import EngineIdentity
from ds01.records.store.known_images import KnownImages
from ds01.records.store.record_files import RecordFiles, UnreadableRecord
from ds01.records.store.removed import RemovedRecords
from ds01.records.store.state_document import StateDocument
from ds01.records.store.tick_memory import TickMemory, parse_tick_memory, tick_memory_document
from ds01.records.store.transaction import NotSaved, Transaction
from ds01.records.wait_queue import WaitQueue
from ds01.system import files, locks
from ds01.system.data import DataError, parse_json
from ds01.system.settings import LAST_GOOD_POLICY

__all__ = ["REMOVED_RETENTION", "Ledger", "NotSaved", "Transaction", "UnreadableRecord", "Version"]

LEDGER_LOCK_TIMEOUT = 30.0  # seconds; the lock is held for milliseconds, so a longer wait means a stuck machine
CONTAINER_LOCK_TIMEOUT = 10.0
REMOVED_RETENTION = timedelta(days=30)
OUTBOX = "outbox"
IMAGE_FACTS = "image-facts"


@dataclass(frozen=True)
class Version:
    """A version of the records and the queue. Compare for equality only."""

    epoch: str
    commit: int
    waiters: frozenset[str]


class Ledger:
    """The records of the state directory `state`, read when asked for and kept while their files stay the same."""

    def __init__(self, state: Path, *, sandbox: bool = False, leases: LeaseLog | None = None) -> None:
        """Open the state directory; a `sandbox` is created if it is missing. Raises Ds01Error.

        `leases` gets a line for each slot that a commit assigns, holds or releases.
        """
        self.state = state
        self._leases = leases
        self.emit: Emit = _discard  # gets an event for each transition that is committed
        records = state / "container-metadata"
        removed = records / "removed"
        self._locks = state / "locks"
        self._queue = state / "queue"
        self._lock = self._locks / "ledger.lock"
        self._engine = state / "engine"
        self._locked_containers: set[str] = set()  # containers whose locks this object holds
        self.is_locked = False  # by this process, through this object
        try:
            if sandbox:
                state.mkdir(mode=0o755, parents=True, exist_ok=True)
            status = state.stat()
            self.owner_uid = status.st_uid
            # In a directory that a group shares, new files are shared too, whatever the umask is.
            # The server's directory is always shared: if its modes are broken, new files must not be broken too.
            shared = not sandbox or bool(status.st_mode & stat.S_IWGRP)
            self.file_mode = 0o664 if shared else 0o644
            self.folder_mode = 0o2775 if shared else 0o755
            for folder in (records, removed, self._locks, self._queue):
                files.make_directory(folder, mode=self.folder_mode)
            self.installation = identity.installation_id(state, (records, removed), mode=self.file_mode)
        except OSError as error:
            raise Ds01Error(
                f"the state directory {state} cannot be used",
                why=f"{error.filename or state}: {error.strerror}" if error.strerror else str(error),
                hint="`sudo ds01 doctor` checks it; users of ds01 are in the group docker",
            ) from error
        self._removed = RemovedRecords(removed)
        self._records = RecordFiles(records, installation=self.installation, removed=self._removed)

    def read(self) -> Mapping[str, Record | UnreadableRecord]:
        """Return all records by container name, without removed ones. Read without the lock: outdated at any time."""
        self._refresh()
        if self._records.leftovers:
            with suppress(Ds01Error), self.transaction():
                pass  # opening a transaction archives the removed records that a killed command left
        return self._records.entries()

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Hold the ledger's lock, for milliseconds: never across an engine call, a prompt or a pull.

        The events of the commits are written to the journal after the lock is released.
        """
        self._refresh()  # the slow part, before the lock; under the lock only later changes are read
        events: list[tuple[str, Mapping[str, Any]]] = []
        try:
            with self._locked(events) as transaction:
                yield transaction
        finally:
            for kind, event in events:
                self.emit(kind, event)

    @contextmanager
    def _locked(self, events: list[tuple[str, Mapping[str, Any]]]) -> Iterator[Transaction]:
        with locks.hold(self._lock, wait=LEDGER_LOCK_TIMEOUT, mode=self.file_mode) as descriptor:
            count = commits.read_locked(descriptor)
            if self._records.may_have_changed(count):
                self._records.refresh(count, locked=True)
            transaction = Transaction(
                self._records,
                self._removed,
                lock=self._lock,
                descriptor=descriptor,
                gpu_state_path=self.state / "gpu-state.json",
                mode=self.file_mode,
                leases=self._leases,
                events=events,
            )
            self.is_locked = True
            try:
                transaction.archive_leftovers()
                yield transaction
            finally:
                self.is_locked = False

    @contextmanager
    def container_lock(
        self, container_name: str, *, doing: str, wait: float = CONTAINER_LOCK_TIMEOUT
    ) -> Iterator[None]:
        """Hold one container's lock across the engine calls of one command. Raises Busy."""
        with locks.hold(self._container_lock(container_name), wait=wait, mode=self.file_mode, doing=doing):
            self._locked_containers.add(container_name)
            try:
                yield
            finally:
                self._locked_containers.discard(container_name)

    def container_lock_is_free(self, container_name: str) -> bool:
        """Return whether no command works on the container now."""
        return locks.is_free(self._container_lock(container_name))

    def removed_named(self, container_name: str) -> list[Record]:
        """Return the archived, readable records of removed containers with this full name."""
        return self._removed.read_named(container_name)

    def removed(self) -> list[Record]:
        """Return the archived, readable records of removed containers."""
        return self._removed.read_all()

    def delete_expired(self, *, removed_before: datetime) -> None:
        """Delete the records that were removed before a time, and temporary files of commands that were killed.

        Facts about images that were not used for long are deleted too.
        """
        self._removed.delete_older(than=removed_before)
        self.known_images().delete_unused()
        records = self.state / "container-metadata"
        state = (self.state, records, records / "removed", self._locks, self._queue, self.state / OUTBOX)
        for folder in (*state, self.last_good_policy, self.last_good_policy / "groups"):
            files.delete_stale_temporaries(folder)

    def known_images(self) -> KnownImages:
        """Return the facts about images that a container was created from."""
        return KnownImages(self.state / IMAGE_FACTS, folder_mode=self.folder_mode, file_mode=self.file_mode)

    def wait_queue(self) -> WaitQueue:
        """Return the queue for GPUs."""
        return WaitQueue(self._queue, mode=self.file_mode)

    def version(self) -> Version:
        """Return a value that changes with every commit and whenever a waiter joins or leaves the queue."""
        count = commits.read(self._lock)
        return Version(count.epoch, count.ended, self.wait_queue().waiter_ids())

    def tick_lock(self) -> AbstractContextManager[object]:
        """Return the lock that lets one tick run at a time. Raises Busy at once."""
        return locks.hold(self._locks / "tick.lock", wait=0, mode=self.file_mode, doing="a tick runs")

    def read_tick_report(self) -> dict[str, Any]:
        """Return the content of tick.json; empty if it is missing or unreadable."""
        return self._read_document("tick.json")

    def gpu_processes(self) -> dict[str, Any]:
        """Return the GPU processes that the last tick saw; empty if the file is missing or unreadable."""
        return self._read_document("tick-processes.json")

    def write_gpu_processes(self, document: Mapping[str, object]) -> None:
        """Store the GPU processes that a tick saw, readable for everybody. Raises OSError."""
        content = json.dumps(document, ensure_ascii=False).encode() + b"\n"
        files.replace(self.state / "tick-processes.json", content, mode=0o644, durable=False)

    def document(self, name: str) -> StateDocument:
        """Return what the tick keeps under this name."""
        return StateDocument(self.state / f"tick-{name}.json")

    def _read_document(self, name: str) -> dict[str, Any]:
        try:
            document = parse_json(files.read(self.state / name))
        except (OSError, DataError):
            return {}
        return document if isinstance(document, dict) else {}

    def write_tick_report(self, report: Mapping[str, object]) -> None:
        """Store the report of the last tick in tick.json. Raises OSError."""
        content = json.dumps(report, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        files.replace(self.state / "tick.json", content, mode=0o644)

    @property
    def last_good_policy(self) -> Path:
        """The directory with the tick's copy of the last good policy."""
        return self.state / LAST_GOOD_POLICY

    @property
    def accounting_path(self) -> Path:
        """The database of what was leased and used; only the tick writes it."""
        return self.state / "accounting.sqlite"

    def outbox(self) -> Outbox:
        """Return the notices that wait for the tick to deliver them."""
        return Outbox(self.state / OUTBOX, folder_mode=self.folder_mode, file_mode=self.file_mode)

    def tick_memory(self) -> TickMemory:
        """Return the memory of the last tick; empty if it is missing or unreadable."""
        try:
            return parse_tick_memory(parse_json(files.read(self.state / "tick-memory.json")))
        except (OSError, DataError):
            return TickMemory()

    def write_tick_memory(self, memory: TickMemory) -> None:
        """Store the memory for the next tick. Raises OSError."""
        content = json.dumps(tick_memory_document(memory)).encode() + b"\n"
        files.replace(self.state / "tick-memory.json", content, mode=0o644)

    def is_same_engine(self, facts: EngineInfo) -> bool:
        """Return whether this is the engine of last time; False also if only its container list can tell."""
        current = EngineIdentity(facts.id, identity.data_root_of(facts.root_dir))
        return not identity.needs_container_list(self._stored_engine(), current)

    def check_engine(
        self, facts: EngineInfo, *, listed: Collection[str], recorded: Mapping[str, str], now: datetime
    ) -> None:
        """Compare the engine with the one of last time, and remember it.

        `listed`: the ids of its containers. `recorded`: the result of `docker_ids` from before they were listed.
        Raises EngineUnreachable if it may be another engine: then missing containers have not vanished.
        """
        stored = self._stored_engine()
        current = EngineIdentity(facts.id, identity.data_root_of(facts.root_dir))
        count = recorded
        if recorded.keys().isdisjoint(listed):  # containers that a command is just removing prove nothing
            still = self.docker_ids().keys()
            count = {key: name for key, name in recorded.items() if key in still and not self._is_busy(name)}
        after, problem = identity.compare_engines(stored, current, listed=listed, recorded=count.keys(), at=now)
        if after != stored:
            try:
                files.replace(self._engine, after.to_text().encode(), mode=self.file_mode)
            except OSError as error:
                if error.errno not in files.UNWRITABLE_ERRNOS:
                    raise Ds01Error(f"{self._engine} cannot be written", why=str(error.strerror)) from error
        if problem is not None:
            raise identity.engine_changed_error(problem, self._engine, same_id=after.id == current.id)

    def _is_busy(self, container_name: str) -> bool:
        """Return whether another command works on the container now."""
        return container_name not in self._locked_containers and not self.container_lock_is_free(container_name)

    def docker_ids(self) -> dict[str, str]:
        """Return the container names of all records by the engine's container id."""
        records = [entry for entry in self.read().values() if isinstance(entry, Record)]
        return {
            record.docker_id: record.container_name
            for record in records
            if record.docker_id and record.origin is not Origin.MANUAL
        }

    def _stored_engine(self) -> EngineIdentity | None:
        try:
            return EngineIdentity.from_text(files.read(self._engine).decode("utf-8", "replace"))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Ds01Error(f"{self._engine} cannot be read", why=error.strerror or str(error)) from error

    def _container_lock(self, container_name: str) -> Path:
        return self._locks / f"{container_name}.lock"

    def _refresh(self) -> None:
        try:
            self._records.refresh(commits.read(self._lock), locked=False)
        except OSError as error:
            raise Ds01Error(
                f"the records in {self.state} cannot be read", why=f"{error.filename or self.state}: {error.strerror}"
            ) from error


def _discard(kind: str, event: Mapping[str, Any]) -> None:
    """Drop the event: a ledger without a context has no journal."""
