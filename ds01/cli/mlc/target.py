"""Finding the container for a command of AIME: one of ds01's, or one created by AIME's tools."""

from __future__ import annotations

from ds01.api.measures import ListAime
from ds01.cli.container.steps.adoption import adopt_container, resolve_or_find_adoptable
from ds01.cli.mlc.docker_format import docker_status, is_running
from ds01.cli.session import Session
from ds01.cli.ui import prompts, tables
from ds01.cli.ui.formats import short_name
from ds01.dataclass import dataclass
from ds01.errors import NotFound, UsageError


@dataclass(frozen=True)
class Target:
    """A container by its full name. `adoptable`: AIME's tools created it, and ds01 has no record of it yet."""

    container: str
    adoptable: bool

    @property
    def name(self) -> str:
        """The owner's name for it."""
        return short_name(self.container)

    def ensure_adopted(self, session: Session, *, ending: bool = False) -> str:
        """Adopt the container if needed, and return its full name. Raises Ds01Error if it cannot be adopted."""
        if self.adoptable:
            adopt_container(session, self.container, ending=ending)
        return self.container


def resolve_target(session: Session, reference: str | None, *, verb: str, running: bool | None = None) -> Target:
    """Return the container; without a name, ask on a terminal. Raises NotFound, UsageError.

    `running`: offer only running (True) or stopped (False) containers; None: all.
    """
    if reference is not None:
        target = Target(*resolve_or_find_adoptable(session, reference))
        session.remember_owner(target.container)
        return target
    if not session.interactive:
        raise UsageError("which container?", hint=f"name it: `mlc-{verb} NAME`")
    views = session.run(ListAime(owner=session.owner.uid))
    if not views:
        raise NotFound(f"you have no container to {verb}", hint="`mlc-create NAME Pytorch` creates one")
    suitable = [view for view in views if running in (None, is_running(view))]
    if not suitable:
        why = f"it must be {'running' if running else 'stopped'}, and none of yours is"
        raise NotFound(f"you have no container to {verb}", why=why, hint="`mlc-list` shows yours")
    rows = [
        (short_name(view.container.container), view.framework or "–", docker_status(view, session.now()))
        for view in suitable
    ]
    default = 1 if len(suitable) == 1 else None
    chosen = suitable[prompts.choose(f"Which container to {verb}?", list(tables.format_plain(rows)), default=default)]
    return Target(chosen.container.container, chosen.adoptable)
