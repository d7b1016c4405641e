"""The records of removed containers, kept for a while. File names contain the time of removal and the record's id."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ds01.records.record import Record
from ds01.system import files
from ds01.system.data import DataError, from_json, parse_json

# Files of older versions have no id in their name.
_NAME = re.compile(r"(?P<container>.*)\.(?P<time>[0-9]{8}T[0-9]{6})\.[0-9]{6}Z(?:\.(?P<id>[0-9a-f]{32}))?\.json")
_ID = re.compile(r"[0-9a-f]{32}")


class RemovedRecords:
    """The directory of the removed records."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path_for(self, record: Record, now: datetime) -> Path:
        """Return an unused path for a record, with the time in its name; the clock may stand still."""
        identity = f".{record.id}" if _ID.fullmatch(record.id) else ""  # an id from a label may be any text
        return unused_path(self._folder, f"{record.container_name}.", f"{identity}.json", now)

    def has(self, identity: str, *, container_name: str) -> bool:
        """Return whether the record with this id is already here. Cheap enough for the ledger's lock."""
        with os.scandir(self._folder) as entries:
            names_of_container = [entry.name for entry in entries if entry.name.startswith(f"{container_name}.")]
        if any(name.endswith(f".{identity}.json") for name in names_of_container):
            return True
        return any(
            _id_of(self._folder / name) == identity for name in names_of_container if name.endswith("Z.json")
        )  # without an id

    def read_all(self) -> list[Record]:
        """Return all readable removed records."""
        return _read_records(path for path, _ in self._files())

    def read_named(self, container_name: str) -> list[Record]:
        """Return the readable records of removed containers with this full name."""
        return _read_records(path for path, match in self._files() if match["container"] == container_name)

    def installations(self) -> set[str]:
        """Return the installations that the removed records belong to."""
        documents = (_read_document(path) for path, _ in self._files())
        return {str(document["installation"]) for document in documents if document.get("installation")}

    def delete_older(self, *, than: datetime) -> None:
        """Delete the records that were removed before a time."""
        oldest_kept = than.strftime("%Y%m%dT%H%M%S")
        for path, match in self._files():
            if match["time"] < oldest_kept:
                with suppress(OSError):
                    path.unlink()

    def _files(self) -> Iterator[tuple[Path, re.Match[str]]]:
        with suppress(OSError), os.scandir(self._folder) as entries:
            for entry in entries:
                if match := _NAME.fullmatch(entry.name):
                    yield Path(entry.path), match


def unused_path(folder: Path, before: str, after: str, now: datetime) -> Path:
    """Return an unused path with the time in its name."""
    while True:
        path = folder / f"{before}{now.strftime('%Y%m%dT%H%M%S.%fZ')}{after}"
        if not os.path.lexists(path):
            return path
        now += timedelta(microseconds=1)


def _read_records(paths: Iterable[Path]) -> list[Record]:
    records = []
    for path in sorted(paths):
        with suppress(OSError, DataError):
            records.append(from_json(Record, parse_json(files.read(path))))
    return records


def _id_of(path: Path) -> str | None:
    identity = _read_document(path).get("id")
    return identity if isinstance(identity, str) else None


def _read_document(path: Path) -> dict[str, Any]:
    try:
        document = parse_json(files.read(path))
    except (OSError, DataError):
        return {}
    return document if isinstance(document, dict) else {}
