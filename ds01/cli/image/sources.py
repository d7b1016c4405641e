"""Finding the source of an image, and whether it has changed since the image was built."""

from __future__ import annotations

from pathlib import Path

from ds01.api.answers import ImageView
from ds01.api.images import ListImages
from ds01.cli.session import Session
from ds01.cli.ui import prompts, tables
from ds01.errors import Ds01Error, NotFound, UsageError
from ds01.images import source
from ds01.images.source import SourcePaths


def find_image(session: Session, name: str) -> ImageView | None:
    """Return the owner's image of that name; None if it is not built."""
    views = session.run(ListImages(owner=session.owner.uid))
    return next((view for view in views if name in (view.name, view.reference)), None)


def resolve_image_name(session: Session, name: str | None, *, verb: str) -> str:
    """Return the image's name; without one, ask on a terminal, else raise UsageError."""
    if name is not None:
        return name.removeprefix(f"ds01-{session.owner.uid}/").removesuffix(":latest")
    if not session.interactive:
        raise UsageError("which image?", hint=f"name it: `image-{verb} NAME`")
    views = session.run(ListImages(owner=session.owner.uid))
    if not views:
        raise NotFound("you have no image of your own", hint="`image-create NAME` builds one")
    rows = tables.format_plain([(view.name, view.labels.get("ds01.framework", "–")) for view in views])
    return views[prompts.choose(f"Which image to {verb}?", list(rows), default=1 if len(views) == 1 else None)].name


def find_source(session: Session, name: str, image: ImageView | None) -> SourcePaths | None:
    """Return the paths of the source: those in the image's label, else those that ds01 uses by default."""
    home = session.home
    # An image that was built by hand from one of ds01's images inherits its labels.
    is_own_image = image is not None and image.labels.get("ds01.image") == name
    labelled_path = image.labels.get("ds01.dockerfile") if image is not None and is_own_image else None
    if labelled_path and labelled_path.startswith("/") and home.exists(Path(labelled_path)):
        return source.source_paths_at(Path(labelled_path), name)
    return source.find_source(home, name)


def is_newer(session: Session, place: SourcePaths, image: ImageView) -> bool | None:
    """Return whether the source has changed since the image was built; None: unknown.

    Compares the content, or the times for images that ds01 did not build.
    """
    home = session.home
    built_from = image.labels.get("ds01.source")
    try:
        if built_from:
            return source.context_digest(source.read_build_context(home, place)) != built_from
        changed = home.modified_at(place.dockerfile)
    except Ds01Error:
        return None
    return None if changed is None or image.created_at is None else changed > image.created_at
