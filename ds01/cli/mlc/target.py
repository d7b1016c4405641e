"""Which container is meant by a command with AIME's name: one of ds01's, or one that AIME's tools made."""

from __future__ import annotations

from dataclasses import dataclass

from ds01.api.measures import ListAime
from ds01.cli.container.steps.adoption import adopt_container, resolve_or_find_adoptable
from ds01.cli.mlc.docker_format import docker_status, is_running
from ds01.cli.session import Session
from ds01.cli.ui import prompts, tables
from ds01.cli.ui.formats import short_name
from ds01.errors import NotFound, UsageError


@dataclass(frozen=True)
class Target:
    """A container by its full name. `adoptable`: AIME's tools made it, and ds01 has no record of it yet."""

    container: str
    adoptable: bool

    @property
    def name(self) -> str:
        """What its owner calls it."""
        return short_name(self.container)

    def ensure_adopted(self, session: Session, *, ending: bool = False) -> str:
        """Its full name, when ds01 has a record of it. Raises Ds01Error if it cannot be adopted."""
        if self.adoptable:
            adopt_container(session, self.container, ending=ending)
        return self.container


def resolve_target(session: Session, reference: str | None, *, verb: str, running: bool | None = None) -> Target:
    """The container that is meant; without a name a picker on a terminal. Raises NotFound, UsageError.

    `running`: the verb acts on what runs, or on what does not, and the picker offers no others; None: on all.
    """
    if reference is not None:
        target = Target(*resolve_or_find_adoptable(session, reference))
        session.remember_owner(target.container)
        return target
    if not session.interactive:
        raise UsageError("which container?", hint=f"say its name: `mlc-{verb} NAME`")
    views = session.run(ListAime(owner=session.owner.uid))
    if not views:
        raise NotFound(f"you have no container to {verb}", hint="`mlc-create NAME Pytorch` makes one")
    suitable = [view for view in views if running in (None, is_running(view))]
    if not suitable:
        why = f"it would have to {'run' if running else 'be stopped'}, and none of yours {'does' if running else 'is'}"
        raise NotFound(f"you have no container to {verb}", why=why, hint="`mlc-list` shows yours")
    rows = [
        (short_name(view.container.container), view.framework or "–", docker_status(view, session.now()))
        for view in suitable
    ]
    default = 1 if len(suitable) == 1 else None
    chosen = suitable[prompts.choose(f"Which container to {verb}?", list(tables.format_plain(rows)), default=default)]
    return Target(chosen.container.container, chosen.adoptable)
