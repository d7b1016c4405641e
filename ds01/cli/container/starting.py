"""Starting a container, as every command that starts one does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ds01.cli.container.waiting import WaitOptions, follow, longest_wait
from ds01.cli.session import Session
from ds01.cli.words import short
from ds01.errors import NotPossible
from ds01.gate.views import Acted


@contextlib.contextmanager
def hint_to_start(container: str) -> Iterator[None]:
    """For what only a running container can have done with it: one that does not run is helped by a start."""
    try:
        yield
    except NotPossible as error:
        if error.hint is not None or "refusal" in (error.data or {}):
            raise
        hint = f"`container-start {short(container)}` starts it"
        raise error.reworded(error.message, why=error.why, hint=hint) from error


def start(session: Session, container: str, *, recreate: bool = False, waiting: WaitOptions | None = None) -> Acted:
    """Start a container; with `waiting`, in the queue if its GPU is not free. Raises Ds01Error."""
    gate, actor = session.gate, session.actor
    if waiting is None or not waiting.waits:
        return gate.start(actor, container, recreate=recreate)
    longest = longest_wait(waiting.wait_for)
    steps = gate.wait_to_start(actor, container, recreate=recreate, longest=longest)
    return follow(session, steps, waiting.wait_for)
