"""The ledger while its lock is held: the only way to change a record."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from ds01.errors import Busy, Ds01Error, StateUnwritable
from ds01.journal.lease_log import LeaseLog
from ds01.records.record import Record
from ds01.records.state_machine import State
from ds01.records.store import commits
from ds01.records.store.events import TRANSITION, transition_events
from ds01.records.store.gpu_state import gpu_state_allocations
from ds01.records.store.lease_events import LEASE, lease_events, replacement_lease_events
from ds01.records.store.lease_log import lease_log_lines
from ds01.records.store.record_files import RecordFiles, UnreadableRecord
from ds01.records.store.removed import RemovedRecords, unused_path
from ds01.system import files
from ds01.system.data import format_time, to_json


class NotSaved(StateUnwritable):
    """A record could not be written for lack of space. `record` is the version that was to be written."""

    def __init__(self, record: Record, path: Path, error: OSError) -> None:
        super().__init__(
            f"the record of {record.name} cannot be written",
            why=f"{path}: {error.strerror}",
            hint="an administrator has to make room; `sudo ds01 doctor` says where",
        )
        self.record = record


class Transaction:
    """The ledger while its lock is held. `lock`: path of the lock file; `descriptor`: the open file."""

    def __init__(
        self,
        records: RecordFiles,
        removed: RemovedRecords,
        *,
        lock: Path,
        descriptor: int,
        gpu_state_path: Path,
        mode: int,
        leases: LeaseLog | None,
        events: list[tuple[str, Mapping[str, Any]]],
    ) -> None:
        """`events` collects what is written to the journal after the lock is released."""
        self._events = events
        self._files = records
        self._removed = removed
        self._lock = lock
        self._descriptor = descriptor
        self._gpu_state_path = gpu_state_path
        self._mode = mode
        self._leases = leases
        self._entries: dict[str, Record | UnreadableRecord] | None = None  # built once: there may be hundreds

    @property
    def records(self) -> Mapping[str, Record | UnreadableRecord]:
        """As `Ledger.read`, but certain while the lock is held."""
        if self._entries is None:
            self._entries = self._files.entries()
        return self._entries

    def commit(self, record: Record, *, now: datetime, durable: bool = True, is_news: bool = True) -> Record:
        """Write a record atomically, and return it with its new revision. A removed record moves to its directory.

        `durable` false: an observation, which a power failure may lose, since it will be observed again. `is_news`
        false: its history was reconstructed, and becomes no transition events; its lease does become events.

        Raises Busy if somebody else changed the record since it was read, Ds01Error if it cannot be written, NotSaved
        if that is for lack of space.
        """
        previous = self._current_entry(record)
        record = dataclasses.replace(record, rev=record.rev + 1)
        with self._write_errors(record):
            self._write(record, durable=durable)
            if record.state is State.REMOVED:
                self._entries = None
                self.archive_removed(record.container_name, now=now)
        self._publish(previous, record, now, durable=durable, is_news=is_news)
        return record

    def commit_replacement(self, gone: Record, new: Record, *, now: datetime) -> Record:
        """Replace the removed record `gone` by the new record `new` of the same name.

        If the process is killed in between, the ledger stays as it was. Raises as `commit`.
        """
        previous = self._current_entry(gone)
        gone = dataclasses.replace(gone, rev=gone.rev + 1)
        new = dataclasses.replace(new, rev=1)
        with self._write_errors(new):
            if not self._removed.has(
                gone.id, container_name=gone.container_name
            ):  # a process was killed after this step
                files.replace(self._removed.path_for(gone, now), _content(gone), mode=self._mode)
            self._write(new, durable=True)
        self._publish(previous, gone, now, durable=False)
        self._publish(None, new, now, durable=True, is_replacement=True)
        return new

    def commit_slot_names(self, records: Iterable[Record], *, now: datetime) -> None:
        """Write records whose slots have new names, without raising their revisions. Raises Ds01Error.

        Names are for people. A command that works on a container must find the revision that it read; it may write the
        old names back, which the next observation corrects.
        """
        for record in records:
            with self._write_errors(record):
                self._write(record, durable=False)
        with suppress(OSError):
            self.write_gpu_state(now)

    def archive_removed(self, container_name: str, *, now: datetime) -> None:
        """Move a record in state `removed` to the directory of removed records."""
        record = self._files.entry(container_name)
        assert isinstance(record, Record)
        path = self._files.path(container_name)
        path.replace(self._removed.path_for(record, now))
        files.sync_directory(path.parent)
        self._files.forget(container_name)
        self._entries = None

    def archive_leftovers(self) -> None:
        """Archive removed records that are still in the ledger because a command was killed between the two steps."""
        for name in list(self._files.leftovers):
            entry = self._files.entry(name)
            if isinstance(entry, Record):
                with suppress(OSError), self._counted_commit(name):  # the next transaction tries again
                    self.archive_removed(name, now=entry.last_change)

    def set_aside(self, container_name: str, *, now: datetime) -> None:
        """Move a corrupt record aside, without changing it. Raises Busy if it merely could not be read."""
        entry = self._files.entry(container_name)
        if isinstance(entry, UnreadableRecord) and not entry.corrupt:
            raise Busy(f"the record of {container_name} cannot be read now", why=entry.why, hint="try again")
        path = self._files.path(container_name)
        try:
            with self._counted_commit(container_name):
                path.replace(unused_path(path.parent, f"{path.name}.corrupt-", "", now))
                files.sync_directory(path.parent)
        except OSError as error:
            raise Ds01Error(f"{path} cannot be moved aside", why=str(error.strerror)) from error
        self._files.forget(container_name)
        self._entries = None

    def write_gpu_state(self, now: datetime) -> None:
        """Rewrite gpu-state.json. Raises OSError."""
        gpu_state = gpu_state_allocations(record for record in self.records.values() if isinstance(record, Record))
        content = json.dumps({"allocations": gpu_state, "last_updated": format_time(now)}).encode() + b"\n"
        files.replace(self._gpu_state_path, content, mode=self._mode, durable=False)

    def _current_entry(self, record: Record) -> Record | None:
        """Return the record that is to be replaced. Raises Busy if it has changed since it was read."""
        previous = self.records.get(record.container_name)
        if isinstance(previous, UnreadableRecord):
            raise Busy(f"the record of {record.name} cannot be read any more", why=previous.why, hint="try again")
        before = None if previous is None else (previous.id, previous.rev)
        if before != ((record.id, record.rev) if record.rev else None):  # only a new one has no revision yet
            raise Busy(f"{record.name} was changed meanwhile", hint="try again")
        return previous

    def _write(self, record: Record, *, durable: bool) -> None:
        name = record.container_name
        files.replace(self._files.path(name), _content(record), mode=self._mode, durable=durable)
        self._files.remember(record)
        if self._entries is not None:
            self._entries = {**self._entries, name: record}

    @contextmanager
    def _write_errors(self, record: Record) -> Iterator[None]:
        path = self._files.path(record.container_name)
        try:
            with self._counted_commit(record.container_name):
                yield
        except OSError as error:
            if error.errno in files.UNWRITABLE_ERRNOS:
                raise NotSaved(record, path, error) from error
            raise Ds01Error(
                f"the record of {record.name} cannot be written", why=f"{path}: {error.strerror}"
            ) from error

    @contextmanager
    def _counted_commit(self, name: str) -> Iterator[None]:
        """Count what the block writes, so that others read it. Raises Busy if the lock no longer excludes others."""
        if not files.names_open_file(self._lock, self._descriptor):
            raise Busy(
                "the ledger's lock file was replaced",
                why=f"{self._lock} is no longer the file that this command locked",
                hint="try again",
            )
        commits.begin(self._descriptor, name)
        try:
            yield
        finally:
            with suppress(OSError):  # whoever locks next ends it
                self._files.mark = commits.end(self._descriptor)

    def _publish(
        self,
        before: Record | None,
        after: Record,
        now: datetime,
        *,
        durable: bool,
        is_news: bool = True,
        is_replacement: bool = False,
    ) -> None:
        """Publish the change: gpu-state.json, the lease log, and the events of the transitions and of the leases."""
        if durable:
            with suppress(OSError):  # a derived copy, which the next commit writes again; the record is already written
                self.write_gpu_state(now)
        if self._leases is not None:
            self._leases.write(lease_log_lines(before, after), now, mode=self._mode)
        if is_news:
            self._events += [(TRANSITION, event) for event in transition_events(before, after)]
        leases = (
            replacement_lease_events(after, now)
            if is_replacement
            else lease_events(before, after, now, is_news=is_news)
        )
        self._events += [(LEASE, event) for event in leases]


def _content(record: Record) -> bytes:
    # A label or login from outside may contain invalid text; Docker has acted by then, and the record has to say so.
    return json.dumps(to_json(record), ensure_ascii=False).encode("utf-8", "replace") + b"\n"
