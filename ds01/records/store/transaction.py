"""The ledger while its lock is held: the only way in which a record changes."""

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
from ds01.records.store.lease_log import lease_log_lines
from ds01.records.store.record_files import RecordFiles, UnreadableRecord
from ds01.records.store.removed import RemovedRecords, unused_path
from ds01.system import files
from ds01.system.data import format_time, to_json


class NotSaved(StateUnwritable):
    """A record could not be written for want of space. `record` is what it would have become."""

    def __init__(self, record: Record, path: Path, error: OSError) -> None:
        super().__init__(f"the record of {record.name} cannot be written", why=f"{path}: {error.strerror}")
        self.record = record


class Transaction:
    """The ledger while its lock is held. `lock` is the path of the locked file, `descriptor` the file."""

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
        """`events` gets what is to be written to the journal once the lock is free."""
        self._events = events
        self._files = records
        self._removed = removed
        self._lock = lock
        self._descriptor = descriptor
        self._gpu_state_path = gpu_state_path
        self._mode = mode
        self._leases = leases
        self._entries: dict[str, Record | UnreadableRecord] | None = None  # drawn up once: there may be hundreds

    @property
    def records(self) -> Mapping[str, Record | UnreadableRecord]:
        """As `Ledger.read`, and now for certain."""
        if self._entries is None:
            self._entries = self._files.entries()
        return self._entries

    def commit(self, record: Record, *, now: datetime, durable: bool = True) -> Record:
        """Write a record whole; a removed one moves to its directory. Returns it with its new revision.

        `durable` false: what was merely seen may be lost with the power, and is seen again.

        Raises Busy if the record was changed by somebody else since it was read, Ds01Error if it cannot be written,
        NotSaved if that is for want of space.
        """
        known = self._current_entry(record)
        record = dataclasses.replace(record, rev=record.rev + 1)
        with self._write_errors(record):
            self._write(record, durable=durable)
            if record.state is State.REMOVED:
                self._entries = None
                self.archive_removed(record.container_name, now=now)
        self._publish(known, record, now, durable=durable)
        return record

    def commit_replacement(self, gone: Record, new: Record, *, now: datetime) -> Record:
        """Put `new`, which nobody knew, in the place of `gone`, which is removed and has the same name.

        Whoever is killed in between leaves the place as it was. Raises as `commit`.
        """
        known = self._current_entry(gone)
        gone = dataclasses.replace(gone, rev=gone.rev + 1)
        new = dataclasses.replace(new, rev=1)
        with self._write_errors(new):
            if not self._removed.has(gone.id, container_name=gone.container_name):  # somebody was killed right here
                files.replace(self._removed.path_for(gone, now), _content(gone), mode=self._mode)
            self._write(new, durable=True)
        self._publish(known, gone, now, durable=False)
        self._publish(None, new, now, durable=True)
        return new

    def commit_slot_names(self, records: Iterable[Record], *, now: datetime) -> None:
        """Write records whose slots have other names now, with the revisions that they have. Raises Ds01Error.

        Names are for people. A command that is at work on a container must find the revision it has read; it may
        write the old names back, and the next observation corrects that.
        """
        for record in records:
            with self._write_errors(record):
                self._write(record, durable=False)
        with suppress(OSError):
            self.write_gpu_state(now)

    def archive_removed(self, container_name: str, *, now: datetime) -> None:
        """Move a record that says `removed` to the removed ones."""
        record = self._files.entry(container_name)
        assert isinstance(record, Record)
        path = self._files.path(container_name)
        path.replace(self._removed.path_for(record, now))
        files.sync_directory(path.parent)
        self._files.forget(container_name)
        self._entries = None

    def archive_leftovers(self) -> None:
        """Move the records that say `removed` and still lie here: somebody was killed between the two steps."""
        for name in list(self._files.leftovers):
            entry = self._files.entry(name)
            if isinstance(entry, Record):
                with suppress(OSError), self._counted_commit(name):  # the next transaction tries again
                    self.archive_removed(name, now=entry.last_change)

    def set_aside(self, container_name: str, *, now: datetime) -> None:
        """Move a corrupt record aside; nothing of it is lost. Raises Busy if it merely could not be read."""
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
        """Draw gpu-state.json anew. Raises OSError."""
        gpu_state = gpu_state_allocations(record for record in self.records.values() if isinstance(record, Record))
        content = json.dumps({"allocations": gpu_state, "last_updated": format_time(now)}).encode() + b"\n"
        files.replace(self._gpu_state_path, content, mode=self._mode, durable=False)

    def _current_entry(self, record: Record) -> Record | None:
        """Return what stands where a record is to be written. Raises Busy if that is not what it was made from."""
        known = self.records.get(record.container_name)
        if isinstance(known, UnreadableRecord):
            raise Busy(f"the record of {record.name} cannot be read any more", why=known.why, hint="try again")
        before = None if known is None else (known.id, known.rev)
        if before != ((record.id, record.rev) if record.rev else None):  # only a new one has no revision yet
            raise Busy(f"{record.name} was changed meanwhile", hint="try again")
        return known

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
        """Count what the block writes, so that others read it. Raises Busy if the lock keeps nobody out any more."""
        if not files.names_open_file(self._lock, self._descriptor):
            raise Busy("the ledger's lock file was replaced", why=f"{self._lock} is another file", hint="try again")
        commits.begin(self._descriptor, name)
        try:
            yield
        finally:
            with suppress(OSError):  # whoever locks next ends it
                self._files.mark = commits.end(self._descriptor)

    def _publish(self, before: Record | None, after: Record, now: datetime, *, durable: bool) -> None:
        """Show others what has changed: gpu-state.json, the log of leases, the events of the transitions."""
        if durable:
            with suppress(OSError):  # a picture only, which the next commit draws again; the record stands
                self.write_gpu_state(now)
        if self._leases is not None:
            self._leases.write(lease_log_lines(before, after), now, mode=self._mode)
        self._events += [(TRANSITION, event) for event in transition_events(before, after)]


def _content(record: Record) -> bytes:
    # A label or a login from outside may hold what is no text; by then Docker has acted, and the record has to say so.
    return json.dumps(to_json(record), ensure_ascii=False).encode("utf-8", "replace") + b"\n"
