"""Replacements: containers that take the place of another one, under a temporary name until they are complete.

A failure before that leaves the old container as it was. A failure after it is completed by the next command, since
the old record then contains the new one. `recreate.py` creates replacements.
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
    """Return a replacement's temporary name in Docker, which neither ds01 nor AIME's tools take for a container."""
    return container_name + SUFFIX


def replaced_name(context: Context, container: EngineContainer, *, at_any_time: bool = False) -> str | None:
    """Return the name of the container that this one is to replace, still wanted or not; None for other containers.

    `at_any_time`: as for `is_created_by`.
    """
    name = container.name.removesuffix(SUFFIX)
    is_own = ownership.is_created_by(container, context.ledger.installation, name=name, at_any_time=at_any_time)
    return name if is_own and name != container.name else None


def awaits_replacement(record: Record) -> bool:
    """Return whether a replacement was started for the record and its outcome is not written yet."""
    return record.pending is not None and record.pending.trigger is Trigger.REMOVE


def promote(context: Context, record: Record) -> Record:
    """Put the complete replacement in the place of a container that does not run; return the new record.

    The container's lock is held. May be called again after any failure. Raises EngineNotFound if the replacement is
    gone; EngineConflict or EngineRejected while Docker still removes the old container, or if its name was taken.
    """
    pending = record.pending
    assert pending is not None and pending.successor is not None
    new = from_json(Record, dict(pending.successor))
    replacement = context.engine.inspect(new.docker_id or "")
    if replacement is None:
        raise EngineNotFound(
            f"the new container for {record.name} is gone", why="somebody removed it while it was being created"
        )
    with suppress(EngineNotFound):
        context.engine.remove(record.docker_id or "")
    if replacement.name != record.container_name:
        context.engine.rename(replacement.id, record.container_name)
    with context.ledger.transaction() as ledger:
        now = context.clock()
        gone = apply_transition(record, Trigger.REMOVE, actor=pending.actor, at=now, why="created again")
        new = ledger.commit_replacement(gone, new, now=now)
    with suppress(Ds01Error):  # the replacement is complete; a leftover of the old image does not make it fail
        if record.own_tag not in (None, new.own_tag):
            context.engine.untag(record.own_tag or "")
        _drop_image(context, pending.image_id)
    return new


def discard_replacement(context: Context, record: Record) -> None:
    """Remove a replacement that is incomplete or no longer wanted, and give the old container its tag back."""
    replacement = context.engine.inspect(replacement_name(record.container_name))
    if replacement is not None and replaced_name(context, replacement, at_any_time=True) == record.container_name:
        remove_unused(context, replacement)
    if record.request is not None:
        tag = own_tag(record.request.image, record.container_name, record.uid)
        if tag != record.own_tag:
            context.engine.untag(tag)
    image = record.pending.image_id if record.pending is not None else None
    if image is not None and record.own_tag is not None:
        with suppress(EngineNotFound):  # somebody force-removed the image of an existing container
            context.engine.tag(image, record.own_tag)


def remove_unused(context: Context, container: EngineContainer) -> bool:
    """Remove a container unless it ran; return whether it was removed. After a failure, the next reconcile retries."""
    if container.started_at is not None:
        return False
    try:
        context.engine.remove(container.id)
    except (EngineNotFound, EngineConflict, EngineRejected):
        return False
    return True


def _drop_image(context: Context, image_id: str | None) -> None:
    """Remove the old image if its last tag went to the replacement's image."""
    image = context.engine.image(image_id) if image_id is not None else None
    if image is not None and not image.tags:
        context.engine.remove_image(image.id)
