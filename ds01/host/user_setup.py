"""Set up a user for ds01, in idempotent steps that return what they did."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ds01.dataclass import dataclass
from ds01.errors import Ds01Error, InvalidState
from ds01.host import slice_limits
from ds01.host.people import find_unix_group
from ds01.host.slices import plan_slices, wanted_slices
from ds01.host.systemd import Systemd
from ds01.lifecycle.context.context import Context
from ds01.lifecycle.spec import mount_sources
from ds01.policy.identity import resolve_account
from ds01.records.entries import readable
from ds01.system import programs
from ds01.system.programs import RunProgram
from ds01.system.users import Account, Actor

GROUPS = ("docker", "video")  # docker: to use ds01; video: owns the GPUs' devices on many systems


@dataclass(frozen=True)
class SetupStep:
    """The result of one step: its subject, whether nothing had to be done, and why it failed."""

    what: str
    already: bool = False
    problem: str | None = None


def ensure_group(account: Account, name: str, *, run: RunProgram = programs.run) -> SetupStep:
    """Add the user to a Unix group. It takes effect at the next login."""
    group = find_unix_group(name)
    if group is None:
        return SetupStep(f"group {name}", problem="this server does not have this group")
    if account.login in group.members:
        return SetupStep(f"group {name}", already=True)
    run(["gpasswd", "--add", account.login, name])  # unlike usermod it also takes users from a directory service
    return SetupStep(f"group {name}")


def ensure_workspace(account: Account, actor: Actor, workspaces: str | None = None) -> SetupStep:
    """Create the directory of the user's workspaces, by default `~/workspace`.

    In a home this is done with the owner's rights: a link there must not lead root elsewhere, and on a file server
    root may have no rights. `workspaces`: where the policy puts all of them; there root creates the owner's directory.
    """
    path = str(Path(account.home) / "workspace") if workspaces is None else f"{workspaces}/{account.login}"
    step = SetupStep(f"directory {path}", already=mount_sources.exists(path, owner=account))
    try:
        if not step.already and workspaces is not None:
            _create_for(account, path)
        elif not step.already:
            mount_sources.make(path, owner=account, actor=actor)
        mount_sources.check_docker_enters(path)
    except Ds01Error as error:
        hint = f"; {error.hint}" if isinstance(error, InvalidState) else ""
        return SetupStep(step.what, problem=f"{error.why or error.message}{hint}")
    except OSError as error:
        return SetupStep(step.what, problem=f"{error.filename or path}: {error.strerror}")
    return step


def _create_for(account: Account, path: str) -> None:
    """Create a directory that belongs to an account. Raises OSError, also if the name exists."""
    Path(path).mkdir(0o700)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchown(descriptor, account.uid, account.gid)
        os.fchmod(descriptor, 0o755)
    finally:
        os.close(descriptor)


def ensure_slice(account: Account, context: Context, *, systemd: Systemd | None = None) -> SetupStep:
    """Set the limits of the user's and the group's slice, if the policy has any."""
    account = resolve_account(context.rules.policy, account, context.users)
    wanted = wanted_slices(context.rules.policy, [account], [], context.clock())
    records = [record for record in readable(context.ledger.read()) if record.uid == account.uid]
    wanted |= wanted_slices(context.rules.policy, [account], records, context.clock())
    if not wanted:
        return SetupStep("slice: the policy limits none", already=True)
    what = f"slice {', '.join(sorted(wanted))}"
    problem = slice_limits.find_obstacle(context.engine.info().cgroup_driver)
    if problem is not None:
        return SetupStep(what, problem=problem.why)
    systemd = systemd or Systemd()
    existing = systemd.limits(wanted)
    changes = plan_slices(wanted, {unit: share for unit, share in existing.items() if unit in wanted})
    outcome = slice_limits.apply_changes(changes, systemd=systemd)
    return SetupStep(what, already=not changes, problem=outcome.failed[0][1] if outcome.failed else None)


def needs_new_login(steps: Sequence[SetupStep]) -> bool:
    """Return whether the user has to log in again."""
    return any(step.what.startswith("group ") and not step.already and not step.problem for step in steps)
