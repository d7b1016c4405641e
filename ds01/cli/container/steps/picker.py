"""The question which container is meant, at a terminal."""

from __future__ import annotations

from ds01.api.listing import ListContainers
from ds01.cli.session import Session
from ds01.cli.ui import prompts, tables
from ds01.errors import NotFound


def pick_container(session: Session, *, states: tuple[str, ...], verb: str) -> str:
    """The full name of one of the owner's containers that the verb can act on. Raises NotFound if there is none."""
    views = session.run(ListContainers(owner=session.owner.uid)).containers
    suitable = [view for view in views if view.state in states]
    if not suitable:
        raise NotFound(
            f"you have no container to {verb}",
            why=f"it would have to be {' or '.join(states)}",
            hint="`container-list` shows yours",
        )
    rows = tables.format_plain([(view.name, "paused" if view.paused else view.state, view.image) for view in suitable])
    # Enter alone decides nothing where there is something to decide: some verbs act without another question.
    default = 1 if len(suitable) == 1 else None
    return suitable[prompts.choose(f"Which container to {verb}?", list(rows), default=default)].container
