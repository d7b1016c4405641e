"""The files of the records: read on demand and cached while they do not change."""

from __future__ import annotations

import errno
import os
import time
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from ds01.dataclass import dataclass
from ds01.errors import Ds01Error
from ds01.records.record import SCHEMA, Record
from ds01.records.state_machine import State
from ds01.records.store.commits import CommitCounter, CommitMark
from ds01.records.store.removed import RemovedRecords
from ds01.system import files
from ds01.system.data import DataError, from_json, parse_json

# File systems store times in steps of up to 10 ms (a kernel with HZ=100), one second (ext4 with 128-byte inodes) or two
# (FAT), and reuse inodes: a file that was read within this time after it was written may have been replaced since then
# without a visible difference.
TIMESTAMP_STEP = 20_000_000  # nanoseconds
TIMESTAMP_STEP_WHOLE = 2_000_000_000  # for a stamp of whole seconds
SECOND = 1_000_000_000

# `open` fails like this for a link and for a socket; any other unexpected kind of file raises `files.UnsafeFile`.
NOT_A_FILE = frozenset({errno.ELOOP, errno.ENXIO})

Signature = tuple[int, int, int, int]


@dataclass(frozen=True)
class UnreadableRecord:
    """A file that is not a valid record of this name and installation, or (not `corrupt`) that cannot be read.

    A file that cannot be read may be intact: a disk or file server does not answer. It is never moved aside, and its
    lease is unknown.
    """

    container_name: str
    why: str
    corrupt: bool = True

    def error(self) -> Ds01Error:
        """Return the error for a caller that needs the record."""
        return Ds01Error(
            f"the record of {self.container_name} cannot be read now",
            why=self.why,
            hint="try again; if the problem stays, `sudo ds01 doctor` checks the disk and the records",
        )


class RecordFiles:
    """The directory of the records. `removed`: the records of removed containers, in a directory below it."""

    def __init__(self, folder: Path, *, installation: str, removed: RemovedRecords) -> None:
        self._folder = folder
        self._installation = installation
        self._removed = removed
        self._cache: dict[str, tuple[Signature | None, Record | UnreadableRecord]] = {}
        self._foreign_records: dict[str, str] = {}  # records of other installations: name -> installation
        self._scanned: tuple[int, int] = (0, 0)  # the directory's mtime at the last scan, and the time of the scan
        self.leftovers: set[str] = set()  # records in state `removed`: a command was killed before it archived them
        self.mark = CommitMark()  # everything up to this commit was read

    def path(self, name: str) -> Path:
        """Return the path of a container's record."""
        return self._folder / f"{name}.json"

    def entries(self) -> dict[str, Record | UnreadableRecord]:
        """Return the entries as of the last scan, by container name, without removed records."""
        return {name: entry for name, (_, entry) in self._cache.items() if name not in self.leftovers}

    def entry(self, name: str) -> Record | UnreadableRecord | None:
        """Return one container's entry as of the last scan, even if removed."""
        return self._cache[name][1] if name in self._cache else None

    def remember(self, record: Record) -> None:
        """Cache a record that was just written; it is read again at the next scan."""
        self._cache[record.container_name] = (None, record)
        if record.state is State.REMOVED:
            self.leftovers.add(record.container_name)

    def forget(self, name: str) -> None:
        """Forget a record whose file was just moved away."""
        self._cache.pop(name, None)
        self.leftovers.discard(name)

    def may_have_changed(self, commits: CommitCounter) -> bool:
        """Return whether a record was written since the last scan, by ds01 (counter) or by hand (directory mtime).

        Call it with the lock held, when no commit is under way.
        """
        changed, scanned_at = self._scanned
        by_hand = self._folder.stat().st_mtime_ns != changed or _is_recent(changed, scanned_at)
        return by_hand or commits.names_since(self.mark) != frozenset()

    def refresh(self, commits: CommitCounter, *, locked: bool) -> None:
        """Scan the directory, and read the files that are new or may have changed.

        `commits` was read before the call. `locked`: the lock is held; without it a begun commit may still be running.
        """
        written = commits.names_since(self.mark)
        self._scanned = (self._folder.stat().st_mtime_ns, time.time_ns())
        signatures = self._signatures()
        for name in self._cache.keys() - signatures.keys():
            self.forget(name)
        for name, signature in signatures.items():
            cached = self._cache.get(name)
            if cached is None or cached[0] is None or cached[0] != signature or written is None or name in written:
                self._load(name, signature)
        self.leftovers = {name for name, (_, entry) in self._cache.items() if _is_removed(entry)}
        self.mark = CommitMark(commits.epoch, commits.begun if locked else commits.ended)
        self._check_foreign_records(signatures.keys())

    def _signatures(self) -> dict[str, Signature | None]:
        """Return a signature that changes when a file is replaced; None where `stat` fails."""
        signatures: dict[str, Signature | None] = {}
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if not entry.name.endswith(".json") or entry.name.startswith("."):
                    continue
                name = entry.name[: -len(".json")]
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                except OSError:
                    signatures[name] = None
                else:
                    signatures[name] = (status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size)
        return signatures

    def _load(self, name: str, signature: Signature | None) -> None:
        is_settled = signature is not None and not _is_recent(max(signature[1:3]), time.time_ns())
        self._foreign_records.pop(name, None)
        try:
            self._cache[name] = (signature if is_settled else None, self._read(name))
        except FileNotFoundError:
            self.forget(name)
        except (files.UnsafeFile, ValueError) as error:
            self._cache[name] = (signature if is_settled else None, UnreadableRecord(name, str(error)))
        except PermissionError as error:
            raise Ds01Error(
                f"the record of {name} cannot be read",
                why=str(error.strerror),
                hint="`sudo ds01 doctor` checks the modes; users of ds01 are in the group docker",
            ) from error
        except OSError as error:
            self._load_failed(name, error)

    def _load_failed(self, name: str, error: OSError) -> None:
        """Handle a read error, which says nothing about the file's content."""
        why = error.strerror or str(error)
        if error.errno in NOT_A_FILE:
            self._cache[name] = (None, UnreadableRecord(name, why))
        elif error.errno in files.RESOURCE_ERRNOS:  # every other record would fail too
            raise Ds01Error(f"the record of {name} cannot be read", why=why, hint="try again in a moment") from error
        else:
            self._cache[name] = (None, UnreadableRecord(name, why, corrupt=False))

    def _read(self, name: str) -> Record:
        """Return a record. Raises OSError, DataError."""
        document = parse_json(files.read(self.path(name)))
        record = from_json(Record, document)
        if record.container_name != name:
            raise DataError(f"it is the record of {record.container_name}")
        if record.installation != self._installation:
            self._foreign_records[name] = record.installation
            raise DataError("it belongs to another installation")
        if record.schema != SCHEMA:
            raise DataError(f"its schema is {record.schema}; this version of ds01 supports {SCHEMA}")
        return record

    def _check_foreign_records(self, names: Collection[str]) -> None:
        """Raise Ds01Error if all records belong to another installation: then this installation's id is wrong."""
        foreign = [self._foreign_records[name] for name in names if name in self._foreign_records]
        if not foreign or any(isinstance(entry, Record) for _, entry in self._cache.values()):
            return
        if self._installation in self._removed.installations():
            return
        other = Counter(foreign).most_common(1)[0][0]
        raise Ds01Error(
            f"the records in {self._folder} belong to another installation",
            why=f"{len(foreign)} say {other}, none says {self._installation}, the id in {_id_file(self._folder)}",
            hint=f"as root, write {other} into that file to keep the records, or move the records elsewhere",
        )


def _id_file(folder: Path) -> Path:
    return folder.parent / "installation"


def _is_recent(changed: int, scanned_at: int) -> bool:
    """Return whether a change after the scan may carry the same timestamp. Both times in nanoseconds."""
    return scanned_at - changed <= (TIMESTAMP_STEP if changed % SECOND else TIMESTAMP_STEP_WHOLE)


def _is_removed(entry: Record | UnreadableRecord) -> bool:
    return isinstance(entry, Record) and entry.state is State.REMOVED
