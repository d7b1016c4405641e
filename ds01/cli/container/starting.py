"""Starting a container, and what helps when its GPUs are more than the policy gives."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ds01.cli.session import Session
from ds01.cli.words import short, worded
from ds01.errors import NotPossible, Refused
from ds01.gpus.model import Rule
from ds01.lifecycle.views import Acted

# What another number of GPUs would help against, and Docker fixed that when the container was made.
FIXED = (Rule.PER_CONTAINER.value, Rule.FULL_GPU.value)


@contextlib.contextmanager
def hint_to_start(container: str) -> Iterator[None]:
    """For what only a running container can have done with it: one that does not run is helped by a start."""
    try:
        yield
    except NotPossible as error:
        if error.hint is not None:
            raise
        hint = f"container-start {short(container)} starts it"
        raise type(error)(error.message, why=error.why, hint=hint, data=error.data) from error


def start(session: Session, container: str, *, recreate: bool = False) -> Acted:
    """Start a container. Raises Ds01Error."""
    try:
        return session.gate.start(session.actor, container, recreate=recreate)
    except Refused as error:
        if recreate or (error.data or {}).get("refusal", {}).get("rule") not in FIXED:
            raise
        refused = worded(error, session.now())
        hint = (
            f"container-start {short(container)} --recreate makes it anew with what the policy gives; /workspace stays"
        )
        raise Refused(refused.message, why="its GPUs were fixed when it was made", hint=hint) from error
