"""The container that is to take another's place. It is made beside it, under a name of its own, until it is whole.

So whatever fails before that leaves the old one as it was. `anew.py` makes it; whoever finds that its maker was killed
either takes it away or lets it take the place, by what the old one's record says.
"""

from __future__ import annotations

import dataclasses
from contextlib import suppress

from ds01.engines.protocol import EngineContainer
from ds01.errors import EngineAbsent, EngineConflict, EngineRejected
from ds01.lifecycle.aime import own_tag
from ds01.lifecycle.machine import Trigger
from ds01.lifecycle.rebuild import rebuilt
from ds01.lifecycle.record import Record, move
from ds01.lifecycle.world import World


def twin_name(container_name: str) -> str:
    """What it is called in Docker meanwhile: no name of ds01's or AIME's, so nobody takes it for a container yet."""
    return f"{container_name}.anew"


def is_awaited(record: Record) -> bool:
    """Whether a twin was begun, and what came of it was not written."""
    return record.pending is not None and record.pending.trigger is Trigger.REMOVE


def discard(world: World, record: Record, old: EngineContainer | None) -> None:
    """Take away a twin that has not taken the place of `old`, and give `old` its tag back."""
    twin = world.engine.inspect(twin_name(record.container_name))
    if twin is not None and _belongs_to(world, twin, record) and twin.started_at is None:
        with suppress(EngineAbsent):
            world.engine.remove(twin.id)
    if record.request is not None:
        tag = own_tag(record.request.image, record.container_name, record.uid)
        if tag != record.own_tag:
            world.engine.untag(tag)
    if old is not None and old.image_id is not None and record.own_tag is not None:
        with suppress(EngineAbsent):  # somebody removed the image of an existing container by force
            world.engine.tag(old.image_id, record.own_tag)


def take_place(world: World, record: Record, twin: str) -> None:
    """Give the twin, by its Docker id, the name of the container that is gone, and let that one's own tag go."""
    world.engine.rename(twin, record.container_name)
    if record.request is None or record.own_tag is None:
        return
    if record.own_tag != own_tag(record.request.image, record.container_name, record.uid):
        world.engine.untag(record.own_tag)


def drop_image(world: World, image_id: str | None) -> None:
    """Let an image go that lost its last tag to the one of a twin, as it goes with its last tag elsewhere."""
    image = world.engine.image(image_id) if image_id is not None else None
    if image is not None and not image.tags:
        with suppress(EngineAbsent, EngineConflict, EngineRejected):  # another container uses it
            world.engine.remove_image(image.id)


def succeed(world: World, record: Record) -> tuple[Record, Record] | None:
    """Finish for a maker that was killed after the old container was gone: the old record, the new one.

    None if there is no whole twin, or its name is somebody else's by now. The container's lock is held.
    """
    successor = record.pending.successor if record.pending is not None else None
    twin = world.engine.inspect(successor) if successor is not None else None
    if twin is None or not _belongs_to(world, twin, record):
        return None
    try:
        if twin.name != record.container_name:
            take_place(world, record, twin.id)
    except EngineConflict:
        return None
    twin = dataclasses.replace(twin, name=record.container_name)
    assert record.pending is not None
    with world.ledger.transaction() as ledger:
        now = world.clock()
        gone = move(record, Trigger.REMOVE, actor=record.pending.actor, at=now, why="made anew")
        gone = ledger.commit(gone, now=now)
        new = dataclasses.replace(rebuilt(world, twin, ledger), request=record.request)
        new = ledger.commit(new, now=now)
    return gone, new


def _belongs_to(world: World, twin: EngineContainer, record: Record) -> bool:
    labels = twin.labels
    ours = labels.get("ds01.installation") == world.ledger.installation
    return ours and labels.get("ds01.uid") == str(record.uid) and labels.get("ds01.id") != record.id
