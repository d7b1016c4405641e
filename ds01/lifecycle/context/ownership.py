"""Decide which containers this installation created. Labels alone do not tell: a committed image inherits them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from ds01.engines.protocol import EngineContainer
from ds01.lifecycle.context.context import Context
from ds01.policy.names import split_container_name
from ds01.records.entries import Entries, readable
from ds01.system.data import DataError, parse_time

# The time in the label is taken right before the create, which may be slow. A container that is created from a
# committed image later than this has a stale label, and so is recognised as a copy.
MAX_LABEL_AGE = timedelta(minutes=10)


def is_created_by(
    container: EngineContainer, installation: str, *, name: str | None = None, at_any_time: bool = False
) -> bool:
    """Return whether this installation set the labels on this very container. `name`: its future name, if different.

    Installation, full name, owner and creation time have to agree. `at_any_time` ignores the time: a container whose
    record is still pending cannot have a copy yet, and the clock may have been set meanwhile. The user database is not
    asked: renaming or deleting the owner does not change whose container it is.
    """
    labels = container.labels
    name = name or container.name
    parts = split_container_name(name)
    return (
        labels.get("ds01.managed") == "true"
        and labels.get("ds01.installation") == installation
        and labels.get("ds01.container") == name
        and parts is not None
        and labels.get("ds01.uid") == str(parts[1])
        and bool(labels.get("ds01.id"))
        and (at_any_time or _created_when_labelled(container))
    )


def _created_when_labelled(container: EngineContainer) -> bool:
    try:
        labelled = parse_time(container.labels["ds01.created"])
    except (DataError, KeyError):
        return False
    return abs(container.created_at - labelled) <= MAX_LABEL_AGE


def is_ours(context: Context, container: EngineContainer) -> bool:
    """Return whether this installation created the container. See `is_created_by`."""
    return is_created_by(container, context.ledger.installation)


def find_unrecorded(context: Context, entries: Entries, listed: Iterable[EngineContainer]) -> list[EngineContainer]:
    """Return our containers whose records were lost, or cannot be read."""
    records = readable(entries)
    docker_ids = {record.docker_id for record in records}
    record_ids = {record.id for record in records}
    names = {record.container_name for record in records}
    return [
        container
        for container in listed
        if container.id not in docker_ids
        and container.name not in names  # another container with that name is outside use
        and is_ours(context, container)
        and container.labels["ds01.id"] not in record_ids  # it is being created right now
        and not is_copy(context, container, entries)
    ]


def is_copy(context: Context, container: EngineContainer, entries: Entries, *, name: str | None = None) -> bool:
    """Return whether a container has another container's labels: somebody created it from a committed image.

    `name`: the full name in its labels, if it has another name.
    """
    identity = container.labels.get("ds01.id")
    others = (*readable(entries), *context.ledger.removed_named(name or container.name))
    return any(other.id == identity and other.docker_id not in (None, container.id) for other in others)
