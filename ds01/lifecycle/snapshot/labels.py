"""Whether the labels of a container are its own. An image that is committed from a container passes all of them on."""

from __future__ import annotations

from datetime import timedelta

from ds01.engines.protocol import EngineContainer
from ds01.policy.names import split_container_name
from ds01.system.data import DataError, parse_time

# The label is written right before Docker is asked to make the container, and Docker may be slow. A container that is
# made from a committed image later than this cannot be mistaken for the one whose labels it has.
MADE_WITHIN = timedelta(minutes=10)


def are_own(
    container: EngineContainer, installation: str, *, name: str | None = None, at_any_time: bool = False
) -> bool:
    """Whether this installation set the labels on this very container. `name`: what it is to be called, if not so yet.

    Installation, full name, owner and time of creation have to agree; with `at_any_time` not the last: what a record
    says is being created can have no copy yet, and the clock may have been set meanwhile. Whether the owner exists is
    not looked up.
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
        and (at_any_time or _made_when_labelled(container))
    )


def _made_when_labelled(container: EngineContainer) -> bool:
    try:
        labelled = parse_time(container.labels["ds01.created"])
    except (DataError, KeyError):
        return False
    return abs(container.created_at - labelled) <= MADE_WITHIN
