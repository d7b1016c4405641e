"""image-list"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ds01.api.answers import ImageView
from ds01.api.images import ListImages
from ds01.cli.command.definition import command as verb
from ds01.cli.command.guide import explain
from ds01.cli.image.sources import find_source, is_newer
from ds01.cli.session import Session
from ds01.cli.ui import tables
from ds01.cli.ui.formats import format_duration, format_size
from ds01.dataclass import dataclass
from ds01.errors import Ds01Error
from ds01.images import source
from ds01.images.source import SourcePaths


@dataclass(frozen=True)
class Row:
    """An image, with its Dockerfile in the owner's home."""

    image: ImageView
    framework: str | None
    dockerfile: str | None
    dockerfile_newer: bool | None  # None: unknown, or there is no Dockerfile

    def to_dict(self) -> dict[str, Any]:
        """Return all fields in one dictionary, for JSON."""
        local = {"framework": self.framework, "dockerfile": self.dockerfile, "dockerfile_newer": self.dockerfile_newer}
        return vars(self.image) | local


@verb(example="image-list")
def command(session: Session) -> None:
    """List your images: size, age, framework, and the containers that use them.

    Dockerfiles that were never built are listed too.
    """
    explain(session, "images")
    views = session.run(ListImages(owner=session.owner.uid))
    rows = [_row(session, view) for view in views]
    unbuilt = _unbuilt(session, {view.name for view in views})
    document = [{"name": name, "dockerfile": str(place.dockerfile)} for name, place in unbuilt.items()]
    session.write_document({"images": [row.to_dict() for row in rows], "not_built": document})
    if session.as_json:
        return
    if not rows and not unbuilt:
        session.say("No images of your own. `image-create NAME` builds one.")
        return
    headings = ("NAME", "SIZE", "AGE", "FRAMEWORK", "USED BY", "DOCKERFILE")
    cells = [_format_cells(row, session.now()) for row in rows]
    cells += [(name, "–", "not built", "–", "–", str(place.dockerfile)) for name, place in unbuilt.items()]
    tables.print_table(headings, cells, cut="DOCKERFILE")
    for row in rows:
        if row.dockerfile_newer:
            name = row.image.name
            session.say(f"The Dockerfile of {name} is newer than the image: `image-update {name}` builds it.")
    for name in unbuilt:
        session.say(f"{name} is not built yet: `image-update {name} --rebuild` builds it.")


def _unbuilt(session: Session, built: set[str]) -> dict[str, SourcePaths]:
    """Return the Dockerfiles that have no image, by the image's name."""
    try:
        sources = source.find_all_sources(session.home)
    except Ds01Error:  # the home may be another user's; the images are listed anyway
        return {}
    return {name: place for name, place in sorted(sources.items()) if name not in built}


def _row(session: Session, view: ImageView) -> Row:
    place = find_source(session, view.name, view)
    newer = None if place is None else is_newer(session, place, view)
    framework = view.labels.get("ds01.framework") or None
    return Row(view, framework, None if place is None else str(place.dockerfile), newer)


def _format_cells(row: Row, now: datetime) -> tuple[str, ...]:
    image = row.image
    return (
        image.name,
        "–" if image.size_bytes is None else format_size(image.size_bytes),
        "–" if image.created_at is None else format_duration(now - image.created_at),
        row.framework or "–",
        ", ".join(image.used_by) or "–",
        (row.dockerfile or "–") + (" (newer)" if row.dockerfile_newer else ""),
    )
