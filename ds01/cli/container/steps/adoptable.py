"""Naming what AIME's tools created and nobody adopted. By itself: a list need not load what adopts."""

from __future__ import annotations

from ds01.api.views import Listing
from ds01.cli.session import Session
from ds01.cli.ui import formats


def report_adoptable(session: Session, listing: Listing, phrase: str) -> None:
    """Name the owner's containers that can be adopted. `phrase`: `more` (not shown before) or `of these`."""
    names = [formats.short_name(name) for name in listing.adoptable if name.endswith(f"._.{session.owner.uid}")]
    if names:
        session.say(
            f"{len(names)} {phrase} created by AIME's tools ({', '.join(names)}): `container-adopt NAME` adopts one."
        )
