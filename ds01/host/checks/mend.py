"""Makes the repairs that doctor offers. None of them stops or removes anything that runs."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from ds01.api import server
from ds01.errors import Ds01Error, InvalidState
from ds01.gate.gate import Gate
from ds01.host import apply
from ds01.host.checks.findings import MakeFolder, MakeGroup, MakeLink, Reconcile, Redraw, Repair, SetMode
from ds01.host.systemd import Systemd
from ds01.journal.events import Emit
from ds01.lifecycle.context.context import Context
from ds01.records.entries import readable
from ds01.system import programs
from ds01.system.programs import RunProgram
from ds01.system.users import Actor


class Mender:
    """`context` is asked for only by the repairs that need policy, records and Docker; it raises Ds01Error.

    Each repair that was made is an event `repair` with the actor, what was done, and why.
    """

    def __init__(
        self,
        actor: Actor,
        context: Callable[[], Context],
        emit: Emit,
        *,
        run: RunProgram = programs.run,
        systemd: Systemd | None = None,
    ) -> None:
        self._actor = actor
        self._context = context
        self._emit = emit
        self._run = run
        self._systemd = systemd or Systemd()

    def make(self, repair: Repair, why: str) -> None:
        """One repair, for what was found, `why`. Raises Ds01Error, OSError."""
        for what in self._made(repair):
            facts = {"actor": self._actor.login, "container": None, "user": None, "what": what, "why": why}
            self._emit("repair", facts)

    def _made(self, repair: Repair) -> Iterator[str]:
        """Make it, and say each thing as soon as it is done: of several the last may fail."""
        if isinstance(repair, SetMode):
            _set_mode(repair)
            yield f"gave {repair.path} {_access_words(repair)}"
        elif isinstance(repair, MakeFolder):
            Path(repair.path).mkdir(mode=0o700)
            access = SetMode(repair.path, repair.mode, None, repair.gid)
            _set_mode(access)
            yield f"made the folder {repair.path} with {_access_words(access)}"
        elif isinstance(repair, MakeLink):
            _link(repair)
            yield f"made {repair.path} a link to {repair.target}"
        elif isinstance(repair, MakeGroup):
            self._run(["groupadd", "--system", "--", repair.name])
            yield f"made the group {repair.name}"
        elif isinstance(repair, Reconcile):
            changes = Gate(self._context()).run(self._actor, server.Reconcile())
            if changes:
                told = ", ".join(f"{change.container}: {change.what}" for change in changes)
                yield f"brought records to what Docker says: {told}"
        elif isinstance(repair, Redraw):
            context = self._context()
            with context.ledger.transaction() as ledger:
                ledger.draw(context.clock())
            yield "drew gpu-state.json anew"
        else:
            yield from self._slices_set()

    def _slices_set(self) -> Iterator[str]:
        context = self._context()
        records = readable(context.ledger.read())
        driver = context.engine.info().cgroup_driver
        changes = apply.plan(
            context.rules.policy, records, context.users, context.clock(), driver=driver, systemd=self._systemd
        )
        outcome = apply.apply(changes, systemd=self._systemd)
        for change in outcome.changed:
            yield f"gave {change.unit} {apply.share_words(change.after)}"
        if outcome.failed:
            raise Ds01Error("; ".join(f"{change.unit}: {why}" for change, why in outcome.failed))
        if outcome.waiting:
            units = ", ".join(change.unit for change in outcome.waiting)
            raise InvalidState(f"{units} uses more memory than the policy gives; `ds01 slices apply` does not wait")


def _access_words(repair: SetMode) -> str:
    words = [f"mode {repair.mode:04o}"]
    words += [f"{kind} {number}" for kind, number in (("uid", repair.uid), ("gid", repair.gid)) if number is not None]
    return ", ".join(words)


def _set_mode(repair: SetMode) -> None:
    """By the open file: between a look and a chmod by its name, somebody could put a link in its place."""
    descriptor = os.open(repair.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) and status.st_nlink != 1:
            raise InvalidState(f"{repair.path} has a second name somewhere else")
        # The owner first: a change of owner takes setgid away.
        os.fchown(descriptor, -1 if repair.uid is None else repair.uid, -1 if repair.gid is None else repair.gid)
        os.fchmod(descriptor, repair.mode)
    finally:
        os.close(descriptor)


def _link(repair: MakeLink) -> None:
    """A link in place of another link, never of a file."""
    path = Path(repair.path)
    path.parent.mkdir(mode=0o755, exist_ok=True)
    temporary = path.parent / f".{path.name}.ds01"
    if path.exists() and not path.is_symlink():
        raise InvalidState(f"{path} is not a link")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(repair.target)
    temporary.replace(path)
