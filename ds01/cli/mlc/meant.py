"""Which container is meant by a command with AIME's name: one of ds01's, or one that AIME's tools made."""

from __future__ import annotations

from dataclasses import dataclass

from ds01.api.containers import ListAime
from ds01.cli import ask, tables
from ds01.cli.container.adopting import find as find_any
from ds01.cli.container.adopting import take_over
from ds01.cli.mlc.shown import runs, status
from ds01.cli.session import Session
from ds01.cli.words import short
from ds01.errors import NotFound, WrongUse


@dataclass(frozen=True)
class Meant:
    """A container by its full name. `adoptable`: AIME's tools made it, and ds01 has no record of it yet."""

    container: str
    adoptable: bool

    @property
    def name(self) -> str:
        """What its owner calls it."""
        return short(self.container)

    def ours(self, session: Session, *, ending: bool = False) -> str:
        """Its full name, when ds01 has a record of it. Raises Ds01Error if it cannot be adopted."""
        if self.adoptable:
            take_over(session, self.container, ending=ending)
        return self.container


def find(session: Session, reference: str | None, *, verb: str, running: bool | None = None) -> Meant:
    """The container that is meant; without a name a picker on a terminal. Raises NotFound, WrongUse.

    `running`: the verb acts on what runs, or on what does not, and the picker offers no others; None: on all.
    """
    if reference is not None:
        meant = Meant(*find_any(session, reference))
        session.remember_owner(meant.container)
        return meant
    if not session.interactive:
        raise WrongUse("which container?", hint=f"say its name: `mlc-{verb} NAME`")
    views = session.run(ListAime(owner=session.owner.uid))
    if not views:
        raise NotFound(f"you have no container to {verb}", hint="`mlc-create NAME Pytorch` makes one")
    fitting = [view for view in views if running in (None, runs(view))]
    if not fitting:
        why = f"it would have to {'run' if running else 'be stopped'}, and none of yours {'does' if running else 'is'}"
        raise NotFound(f"you have no container to {verb}", why=why, hint="`mlc-list` shows yours")
    rows = [(short(view.container.container), view.framework or "–", status(view, session.now())) for view in fitting]
    default = 1 if len(fitting) == 1 else None
    chosen = fitting[ask.choose(f"Which container to {verb}?", list(tables.plain(rows)), default=default)]
    return Meant(chosen.container.container, chosen.adoptable)
