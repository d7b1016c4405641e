"""Which containers are this installation's own. An image that is committed from a container passes all labels on."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from ds01.engines.protocol import EngineContainer
from ds01.lifecycle.context.context import Context
from ds01.policy.names import split_container_name
from ds01.records.entries import Entries, readable
from ds01.system.data import DataError, parse_time

# The label is written right before Docker is asked to make the container, and Docker may be slow. A container that is
# made from a committed image later than this cannot be mistaken for the one whose labels it has.
MAX_LABEL_AGE = timedelta(minutes=10)


def is_created_by(
    container: EngineContainer, installation: str, *, name: str | None = None, at_any_time: bool = False
) -> bool:
    """Return whether this installation set the labels on this very container. `name`: its future name, if another.

    Installation, full name, owner and time of creation have to agree; with `at_any_time` not the last: what a record
    says is being created can have no copy yet, and the clock may have been set meanwhile. The user database is not
    asked: a renamed or deleted owner does not make the container somebody else's.
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
    """Return whether this installation created the container. See `are_own`."""
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
        and container.name not in names  # it is in use from outside
        and is_ours(context, container)
        and container.labels["ds01.id"] not in record_ids  # it is being created right now
        and not is_copy(context, container, entries)
    ]


def is_copy(context: Context, container: EngineContainer, entries: Entries, *, name: str | None = None) -> bool:
    """Return whether a container has another one's labels: somebody created it from a committed image.

    `name`: the full name in its labels, if it is not called so.
    """
    identity = container.labels.get("ds01.id")
    others = (*readable(entries), *context.ledger.removed_named(name or container.name))
    return any(other.id == identity and other.docker_id not in (None, container.id) for other in others)
