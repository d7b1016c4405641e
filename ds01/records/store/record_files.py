"""The files of the records: each read when asked for, and kept while it stays the same."""

from __future__ import annotations

import errno
import os
import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from ds01.errors import Ds01Error
from ds01.records.record import SCHEMA, Record
from ds01.records.state_machine import State
from ds01.records.store.commits import CommitCounter, CommitMark
from ds01.records.store.removed import RemovedRecords
from ds01.system import files
from ds01.system.data import DataError, from_json, parse_json

# A file system stamps times in steps of up to 10 ms (a kernel with HZ=100), of one second (ext4 with 128-byte inodes),
# or of two (FAT), and uses inodes again: a file that was read within this time after it was written may have been
# replaced since without a visible difference.
TIMESTAMP_STEP = 20_000_000  # nanoseconds
TIMESTAMP_STEP_WHOLE = 2_000_000_000  # for a stamp of whole seconds
SECOND = 1_000_000_000

# What an open answers for a link and for a socket; everything else that is no file of ours is `files.UnsafeFile`.
NOT_A_FILE = frozenset({errno.ELOOP, errno.ENXIO})

Signature = tuple[int, int, int, int]


@dataclass(frozen=True)
class UnreadableRecord:
    """A file that is no record of this installation and of its name; or, if not `corrupt`, one that cannot be read.

    The second may be whole: a disk or a server does not answer. It is never moved aside, and what it leases is unknown.
    """

    container_name: str
    why: str
    corrupt: bool = True

    def error(self) -> Ds01Error:
        """Return the error for whoever needs what the record says."""
        return Ds01Error(
            f"the record of {self.container_name} cannot be read now",
            why=self.why,
            hint="try again; if it stays so, `sudo ds01 doctor` checks the disk and the records",
        )


class RecordFiles:
    """The directory of the records. `removed` are those of removed containers, below it."""

    def __init__(self, folder: Path, *, installation: str, removed: RemovedRecords) -> None:
        self._folder = folder
        self._installation = installation
        self._removed = removed
        self._cache: dict[str, tuple[Signature | None, Record | UnreadableRecord]] = {}
        self._foreign_records: dict[str, str] = {}  # records of other installations, and of which
        self._scanned: tuple[int, int] = (0, 0)  # the directory's time of change at the last look, and when that was
        self.leftovers: set[str] = set()  # those that say `removed`: a command was killed before filing
        self.mark = CommitMark()  # everything up to this commit was seen

    def path(self, name: str) -> Path:
        """Return where the record of a container lies."""
        return self._folder / f"{name}.json"

    def entries(self) -> dict[str, Record | UnreadableRecord]:
        """Return what the last look found, by container name, without the removed ones."""
        return {name: entry for name, (_, entry) in self._cache.items() if name not in self.leftovers}

    def entry(self, name: str) -> Record | UnreadableRecord | None:
        """Return what the last look found of one container, a removed one too."""
        return self._cache[name][1] if name in self._cache else None

    def remember(self, record: Record) -> None:
        """Keep a record that was just written; it is read again at the next look."""
        self._cache[record.container_name] = (None, record)
        if record.state is State.REMOVED:
            self.leftovers.add(record.container_name)

    def forget(self, name: str) -> None:
        """Forget a record whose file was just moved away."""
        self._cache.pop(name, None)
        self.leftovers.discard(name)

    def may_have_changed(self, commits: CommitCounter) -> bool:
        """Whether a record was written since the last look: by ds01, which counts, or by hand, by the directory's time.

        The lock is held: everything that was begun is over.
        """
        changed, scanned_at = self._scanned
        by_hand = self._folder.stat().st_mtime_ns != changed or _is_recent(changed, scanned_at)
        return by_hand or commits.names_since(self.mark) != frozenset()

    def refresh(self, commits: CommitCounter, *, locked: bool) -> None:
        """Look at all files, and read those that are new or may be other than when they were read.

        `commits` was read before. `locked`: the lock is held; without it a commit that was begun may still go on.
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
        """Return what tells each file from what may take its place; None where the file system does not say."""
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
        """The file was not read, and so says nothing about its content."""
        why = error.strerror or str(error)
        if error.errno in NOT_A_FILE:
            self._cache[name] = (None, UnreadableRecord(name, why))
        elif error.errno in files.RESOURCE_ERRNOS:  # it would be the same with every other record
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
            raise DataError("it is of another installation")
        if record.schema != SCHEMA:
            raise DataError(f"its schema is {record.schema}, this ds01 knows {SCHEMA}")
        return record

    def _check_foreign_records(self, names: Collection[str]) -> None:
        """Raises Ds01Error if all records are of another installation: then not they are wrong, but this one's id."""
        foreign = [self._foreign_records[name] for name in names if name in self._foreign_records]
        if not foreign or any(isinstance(entry, Record) for _, entry in self._cache.values()):
            return
        if self._installation in self._removed.installations():
            return
        other = Counter(foreign).most_common(1)[0][0]
        raise Ds01Error(
            f"the records in {self._folder} are of another installation",
            why=f"{len(foreign)} say {other}, none says {self._installation}, which {_id_file(self._folder)} says",
            hint=f"to go on with the records, root writes {other} into that file; else root moves them elsewhere",
        )


def _id_file(folder: Path) -> Path:
    return folder.parent / "installation"


def _is_recent(changed: int, scanned_at: int) -> bool:
    """Whether a later change may carry the same stamp as one that was seen, in nanoseconds."""
    return scanned_at - changed <= (TIMESTAMP_STEP if changed % SECOND else TIMESTAMP_STEP_WHOLE)


def _is_removed(entry: Record | UnreadableRecord) -> bool:
    return isinstance(entry, Record) and entry.state is State.REMOVED
