"""The container that is to take another's place. It is made beside it, under a name of its own, until it is whole.

So whatever fails before that leaves the old one as it was, and whatever fails after it is brought to its end by
whoever looks next: the old one's record has the new one's in it by then. `anew.py` makes it.
"""

from __future__ import annotations

from contextlib import suppress

from ds01.engines.protocol import EngineContainer
from ds01.errors import Ds01Error, EngineConflict, EngineNotFound, EngineRejected
from ds01.lifecycle.context import ownership
from ds01.lifecycle.context.context import Context
from ds01.lifecycle.spec.aime import own_tag
from ds01.records.record import Record, apply_transition
from ds01.records.state_machine import Trigger
from ds01.system.data import from_json

SUFFIX = ".anew"


def replacement_name(container_name: str) -> str:
    """What it is called in Docker meanwhile: no name of ds01's or AIME's, so nobody takes it for a container yet."""
    return container_name + SUFFIX


def replaced_name(context: Context, container: EngineContainer, *, at_any_time: bool = False) -> str | None:
    """Return the name of the container that this one is to replace, wanted or not; None if it is no replacement.

    `at_any_time`: as `labels.are_own` has it.
    """
    name = container.name.removesuffix(SUFFIX)
    own = ownership.is_created_by(container, context.ledger.installation, name=name, at_any_time=at_any_time)
    return name if own and name != container.name else None


def awaits_replacement(record: Record) -> bool:
    """Whether a twin was begun for it, and what came of it was not written."""
    return record.pending is not None and record.pending.trigger is Trigger.REMOVE


def promote(context: Context, record: Record) -> Record:
    """Let the whole twin take the place of a container that does not run; the new record. Its lock is held.

    May be called again after any failure. Raises EngineNotFound without a twin; EngineConflict or EngineRejected while
    Docker is not done with the old one, or if somebody took its name.
    """
    pending = record.pending
    assert pending is not None and pending.successor is not None
    new = from_json(Record, dict(pending.successor))
    replacement = context.engine.inspect(new.docker_id or "")
    if replacement is None:
        raise EngineNotFound(
            f"the new container for {record.name} is gone", why="somebody removed it while it was made"
        )
    with suppress(EngineNotFound):
        context.engine.remove(record.docker_id or "")
    if replacement.name != record.container_name:
        context.engine.rename(replacement.id, record.container_name)
    with context.ledger.transaction() as ledger:
        now = context.clock()
        gone = apply_transition(record, Trigger.REMOVE, actor=pending.actor, at=now, why="made anew")
        new = ledger.commit_replacement(gone, new, now=now)
    with suppress(Ds01Error):  # it is done; what is left of the old one's image is no reason to say otherwise
        if record.own_tag not in (None, new.own_tag):
            context.engine.untag(record.own_tag or "")
        _drop_image(context, pending.image_id)
    return new


def discard_replacement(context: Context, record: Record) -> None:
    """Take away a twin that is not whole, or not wanted any more, and give the old container its tag back."""
    replacement = context.engine.inspect(replacement_name(record.container_name))
    if replacement is not None and replaced_name(context, replacement, at_any_time=True) == record.container_name:
        remove_unused(context, replacement)
    if record.request is not None:
        tag = own_tag(record.request.image, record.container_name, record.uid)
        if tag != record.own_tag:
            context.engine.untag(tag)
    image = record.pending.image_id if record.pending is not None else None
    if image is not None and record.own_tag is not None:
        with suppress(EngineNotFound):  # somebody removed the image of an existing container by force
            context.engine.tag(image, record.own_tag)


def remove_unused(context: Context, container: EngineContainer) -> bool:
    """Remove a container, unless it ran; whether it was removed. One that cannot be is left to the next look."""
    if container.started_at is not None:
        return False
    try:
        context.engine.remove(container.id)
    except (EngineNotFound, EngineConflict, EngineRejected):
        return False
    return True


def _drop_image(context: Context, image_id: str | None) -> None:
    """Let an image go that lost its last tag to the one of the twin, as it goes with its last tag elsewhere."""
    image = context.engine.image(image_id) if image_id is not None else None
    if image is not None and not image.tags:
        context.engine.remove_image(image.id)
