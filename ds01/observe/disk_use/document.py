"""What was measured, as a document of the ledger, and as rows for screens. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from ds01.api.seeing.server_view import DiskUseView
from ds01.dataclass import dataclass
from ds01.engines.protocol import DiskItem, DiskUsage
from ds01.system.data import DataError, parse_time

DOCUMENT = "disk-use"  # of the ledger
IMAGES, CONTAINERS, VOLUMES, BUILD_CACHE, WORKSPACES = "images", "containers", "volumes", "build_cache", "workspaces"
OF_A_USER = (IMAGES, CONTAINERS, WORKSPACES)  # what is counted for users
_OWN_IMAGE = re.compile(r"ds01-([0-9]+)/", re.ASCII)  # the repository of a user's images: ds01-UID/PROJECT


@dataclass(frozen=True)
class Person:
    """A user for whom disk space is counted."""

    uid: int
    login: str


def engine_rows(usage: DiskUsage, owners: Mapping[str, Person], people: Mapping[int, Person]) -> list[dict[str, Any]]:
    """Return rows with kind, uid, user and bytes from the engine's answer; what is unknown has none.

    `owners`: by the ids of ds01's containers. `people`: by uid. What belongs to nobody has the user None.
    """
    rows = []
    for kind, items in ((IMAGES, usage.images), (CONTAINERS, usage.containers)):
        sums: dict[Person | None, int] = dict.fromkeys(people.values(), 0)
        is_known = all(item.size_bytes is not None for item in items)
        for item in items:
            owner = owners.get(item.id) if kind == CONTAINERS else _image_owner(item, people)
            sums[owner] = sums.get(owner, 0) + (item.size_bytes or 0)
        if not is_known:
            continue
        if kind == IMAGES and usage.layers_bytes is not None:  # with the layers that several images share
            sums[None] = max(0, usage.layers_bytes - sum(size for owner, size in sums.items() if owner is not None))
        rows += [_row(kind, owner, size) for owner, size in sums.items()]
    volumes = [volume.size_bytes for volume in usage.volumes]
    if None not in volumes:
        rows.append(_row(VOLUMES, None, sum(size or 0 for size in volumes)))
    if usage.build_cache_bytes is not None:
        rows.append(_row(BUILD_CACHE, None, usage.build_cache_bytes))
    return rows


def _image_owner(image: DiskItem, people: Mapping[int, Person]) -> Person | None:
    """Return the user whose image it is by its tags. Containers' own tags on common images do not count."""
    for tag in image.names:
        match = _OWN_IMAGE.match(tag)
        if match is not None:
            return people.get(int(match[1]))
    return None


def _row(kind: str, owner: Person | None, size: int) -> dict[str, Any]:
    return {
        "kind": kind,
        "uid": None if owner is None else owner.uid,
        "user": None if owner is None else owner.login,
        "bytes": size,
    }


def disk_use_views(document: Mapping[str, Any]) -> tuple[DiskUseView, ...]:
    """Return what was measured; damaged entries are left out."""
    return tuple(_views(document))


def _views(document: Mapping[str, Any]) -> Iterator[DiskUseView]:
    engine, workspaces = document.get("engine"), document.get("workspaces")
    if isinstance(engine, dict) and (at := read_time(engine.get("measured_at"))) is not None:
        rows = engine.get("rows")
        for row in rows if isinstance(rows, list) else ():
            if isinstance(row, dict) and isinstance(row.get("bytes"), int):
                uid, user = row.get("uid"), row.get("user")
                yield DiskUseView(
                    str(row.get("kind")), None if user is None else str(user), _number(uid), row["bytes"], at
                )
    for key, item in workspaces.items() if isinstance(workspaces, dict) else ():
        if isinstance(item, dict) and isinstance(item.get("bytes"), int):
            at = read_time(item.get("measured_at"))
            if at is not None and key.isdecimal():
                yield DiskUseView(WORKSPACES, str(item.get("user")), int(key), item["bytes"], at)


def read_time(value: object) -> datetime | None:
    """Return a time of the document; None if there is none."""
    try:
        return parse_time(value) if isinstance(value, str) else None
    except DataError:
        return None


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None


def user_disk_use(rows: tuple[DiskUseView, ...], uid: int) -> tuple[int | None, datetime | None]:
    """Return a user's disk space, and when the oldest part of it was measured; None unless every kind was."""
    own = [row for row in rows if row.uid == uid]
    if {row.kind for row in own} != set(OF_A_USER):
        return None, None
    return sum(row.bytes for row in own), min(row.measured_at for row in own)
