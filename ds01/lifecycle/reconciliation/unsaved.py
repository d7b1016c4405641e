"""Records that could not be saved for lack of space: reading commands show the real state all the same."""

from __future__ import annotations

from collections.abc import Callable

from ds01.errors import EngineRejected, StateUnwritable
from ds01.records.entries import Entries
from ds01.records.ledger import NotSaved
from ds01.records.record import Record
from ds01.records.state_machine import State


def collect_unsaved(unsaved: list[Record]) -> Callable[[str, Exception], None]:
    """Return a `failed` callback that collects records which could not be saved for lack of space; it raises the rest.

    Reading commands show the real state, even if it could not be written.
    """

    def failed(name: str, error: Exception) -> None:
        if isinstance(error, NotSaved):
            unsaved.append(error.record)
        elif not isinstance(error, (StateUnwritable, EngineRejected)):  # reconcile reports what Docker rejects
            raise error

    return failed


def with_unsaved(entries: Entries, unsaved: list[Record]) -> Entries:
    """Return all records, with the unsaved ones in place of those on disk."""
    merged = {**entries, **{record.container_name: record for record in unsaved}}
    gone = {record.container_name for record in unsaved if record.state is State.REMOVED}
    return {name: entry for name, entry in merged.items() if name not in gone}
