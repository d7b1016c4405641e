"""The error for a name that is taken. In its own module, so that readers need not load what creates containers."""

from __future__ import annotations

from ds01.errors import InvalidState
from ds01.records.entries import is_manual
from ds01.records.record import Record


def name_taken(record: Record) -> InvalidState:
    """Return the error for a new container with the name of `record`."""
    name = record.name
    if is_manual(record):
        return InvalidState(
            f"the name {name} is taken",
            why="a GPU was allocated by hand under this name",
            hint=f"choose another name; `ds01 gpu release --container {name}` ends the allocation",
            code="name.taken",
        )
    return InvalidState(
        f"there is already a container {name}",
        why=f"its state is {record.state.value}",
        hint=f"`container-run {name}` enters it, `container-retire {name}` ends it",
        code="name.taken",
    )
