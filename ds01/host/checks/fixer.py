"""Apply the fixes that doctor offers. None of them stops or removes anything that runs."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from ds01.api import server
from ds01.errors import Ds01Error, InvalidState
from ds01.gate.gate import Gate
from ds01.host import slice_limits
from ds01.host.checks.findings import (
    CreateDirectory,
    CreateGroup,
    CreateLink,
    Fix,
    ReconcileRecords,
    RewriteGpuState,
    SetMode,
)
from ds01.host.systemd import Systemd
from ds01.journal.events import Emit
from ds01.lifecycle.context.context import Context
from ds01.records.entries import readable
from ds01.system import programs
from ds01.system.programs import RunProgram
from ds01.system.users import Actor


class Fixer:
    """Applies fixes. `context` is called only by those that need policy, records and Docker; it may raise Ds01Error.

    Each applied fix is an event `repair` with the actor, what was done, and why.
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

    def apply(self, fix: Fix, why: str) -> None:
        """Apply one fix. `why`: the finding. Raises Ds01Error, OSError."""
        for what in self._apply(fix):
            event = {"actor": self._actor.login, "container": None, "user": None, "what": what, "why": why}
            self._emit("repair", event)

    def _apply(self, fix: Fix) -> Iterator[str]:
        """Apply a fix, and yield each part when it is done, since a later part may fail."""
        if isinstance(fix, SetMode):
            _set_access(fix)
            yield f"set {fix.path} to {_describe_access(fix)}"
        elif isinstance(fix, CreateDirectory):
            Path(fix.path).mkdir(mode=0o700)
            access = SetMode(fix.path, fix.mode, None, fix.gid)
            _set_access(access)
            yield f"created the directory {fix.path} with {_describe_access(access)}"
        elif isinstance(fix, CreateLink):
            _create_link(fix)
            yield f"created the link {fix.path} to {fix.target}"
        elif isinstance(fix, CreateGroup):
            self._run(["groupadd", "--system", "--", fix.name])
            yield f"created the group {fix.name}"
        elif isinstance(fix, ReconcileRecords):
            changes = Gate(self._context()).run(self._actor, server.Reconcile())
            if changes:
                descriptions = ", ".join(f"{change.container}: {change.what}" for change in changes)
                yield f"reconciled records with Docker: {descriptions}"
        elif isinstance(fix, RewriteGpuState):
            context = self._context()
            with context.ledger.transaction() as ledger:
                ledger.write_gpu_state(context.clock())
            yield "rewrote gpu-state.json"
        else:
            yield from self._apply_slice_limits()

    def _apply_slice_limits(self) -> Iterator[str]:
        context = self._context()
        records = readable(context.ledger.read())
        driver = context.engine.info().cgroup_driver
        changes = slice_limits.plan_changes(
            context.rules.policy, records, context.users, context.clock(), driver=driver, systemd=self._systemd
        )
        outcome = slice_limits.apply_changes(changes, systemd=self._systemd)
        for change in outcome.changed:
            yield f"set {change.unit} to {slice_limits.describe_share(change.after)}"
        if outcome.failed:
            raise Ds01Error("; ".join(f"{change.unit}: {why}" for change, why in outcome.failed))
        if outcome.waiting:
            units = ", ".join(change.unit for change in outcome.waiting)
            raise InvalidState(f"{units} uses more memory than the policy allows; `ds01 slices apply` does not wait")


def _describe_access(fix: SetMode) -> str:
    words = [f"mode {fix.mode:04o}"]
    words += [f"{kind} {number}" for kind, number in (("uid", fix.uid), ("gid", fix.gid)) if number is not None]
    return ", ".join(words)


def _set_access(fix: SetMode) -> None:
    """Set mode and owner through a descriptor: between a check and a chmod by name, it could be replaced by a link."""
    descriptor = os.open(fix.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) and status.st_nlink != 1:
            raise InvalidState(f"{fix.path} has another hard link")
        # The owner first: changing the owner clears setgid.
        os.fchown(descriptor, -1 if fix.uid is None else fix.uid, -1 if fix.gid is None else fix.gid)
        os.fchmod(descriptor, fix.mode)
    finally:
        os.close(descriptor)


def _create_link(fix: CreateLink) -> None:
    """Create a link, or replace another link, but never a file."""
    path = Path(fix.path)
    path.parent.mkdir(mode=0o755, exist_ok=True)
    temporary = path.parent / f".{path.name}.ds01"
    if path.exists() and not path.is_symlink():
        raise InvalidState(f"{path} is not a link")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(fix.target)
    temporary.replace(path)
