"""Starting a container, for all commands that do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ds01.api.answers import Acted
from ds01.api.containers import StartContainer
from ds01.api.refusals import refusal_of
from ds01.cli.container.steps.queue_wait import WaitOptions, follow_queue, wait_limit
from ds01.cli.session import Session
from ds01.cli.ui.formats import short_name
from ds01.errors import InvalidState


@contextlib.contextmanager
def suggest_start(container: str) -> Iterator[None]:
    """Add a `container-start` hint to the InvalidState errors of operations that need a running container."""
    try:
        yield
    except InvalidState as error:
        if error.hint is not None or refusal_of(error) is not None:
            raise
        hint = f"`container-start {short_name(container)}` starts it"
        raise error.reworded(error.message, why=error.why, hint=hint) from error


def start(session: Session, container: str, *, recreate: bool = False, waiting: WaitOptions | None = None) -> Acted:
    """Start a container; with `waiting`, wait in the queue if its GPU is not free. Raises Ds01Error."""
    if waiting is None or not waiting.waits:
        return session.run(StartContainer(container, recreate=recreate))
    longest = wait_limit(waiting.wait_for)
    steps = session.stream(StartContainer(container, recreate=recreate, wait=True, longest=longest))
    return follow_queue(session, steps, waiting.wait_for)
