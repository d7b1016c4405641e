"""Asking at a terminal which container is meant."""

from __future__ import annotations

from ds01.api.listing import ListContainers
from ds01.cli.session import Session
from ds01.cli.ui import prompts, tables
from ds01.errors import NotFound


def pick_container(session: Session, *, states: tuple[str, ...], verb: str) -> str:
    """Return the full name of the chosen container, among those that the verb can act on. Raises NotFound."""
    views = session.run(ListContainers(owner=session.owner.uid)).containers
    suitable = [view for view in views if view.state in states]
    if not suitable:
        raise NotFound(
            f"you have no container to {verb}",
            why=f"it must be {' or '.join(states)}",
            hint="`container-list` shows yours",
        )
    rows = tables.format_plain(
        [(view.name, "paused" if view.paused else view.state, view.image or "") for view in suitable]
    )
    # With several choices there is no default: some verbs act without a second question.
    default = 1 if len(suitable) == 1 else None
    return suitable[prompts.choose(f"Which container to {verb}?", list(rows), default=default)].container
