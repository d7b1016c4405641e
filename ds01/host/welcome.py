"""What a person needs to use ds01: steps that can be taken again and again, and say what they did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ds01.errors import Ds01Error
from ds01.host import apply
from ds01.host.people import unix_group_of
from ds01.host.slices import plan_slices, wanted_slices
from ds01.host.systemd import Systemd
from ds01.lifecycle import folders
from ds01.lifecycle.world import World, readable
from ds01.policy.identity import identify
from ds01.system import programs
from ds01.system.programs import Run
from ds01.system.users import Account, Actor

GROUPS = ("docker", "video")  # docker: to use ds01; video: owns the GPUs' devices on many systems


@dataclass(frozen=True)
class Step:
    """One step: what it is about, whether it was so already, and why it was not done."""

    what: str
    already: bool = False
    problem: str | None = None


def ensure_group(account: Account, name: str, *, run: Run = programs.run) -> Step:
    """Membership in a Unix group. The user has it from the next login on."""
    group = unix_group_of(name)
    if group is None:
        return Step(f"group {name}", problem="this server has no such group")
    if account.login in group.members:
        return Step(f"group {name}", already=True)
    run(["gpasswd", "--add", account.login, name])  # unlike usermod it also takes users from a directory service
    return Step(f"group {name}")


def ensure_workspace(account: Account, actor: Actor) -> Step:
    """`~/workspace`, made with the owner's rights: a link in a home must not lead root anywhere."""
    path = Path(account.home) / "workspace"
    if path.is_dir():
        return Step(f"folder {path}", already=True)
    try:
        folders.make(str(path), owner=account, actor=actor)
    except Ds01Error as error:
        return Step(f"folder {path}", problem=error.why or error.message)
    return Step(f"folder {path}")


def ensure_slice(account: Account, world: World, *, systemd: Systemd | None = None) -> Step:
    """The user's slice and the group's, if the policy limits these."""
    account = identify(world.policy, account, world.users)
    wanted = wanted_slices(world.policy, [account], [], world.clock())
    records = [record for record in readable(world.ledger.read()) if record.uid == account.uid]
    wanted |= wanted_slices(world.policy, [account], records, world.clock())
    if not wanted:
        return Step("slice: the policy limits none", already=True)
    what = f"slice {', '.join(sorted(wanted))}"
    problem = apply.obstacle(world.engine.facts().cgroup_driver)
    if problem is not None:
        return Step(what, problem=problem.why)
    systemd = systemd or Systemd()
    now = systemd.limits(wanted)
    changes = plan_slices(wanted, {unit: share for unit, share in now.items() if unit in wanted})
    outcome = apply.apply(changes, systemd=systemd)
    return Step(what, already=not changes, problem=outcome.failed[0][1] if outcome.failed else None)


def new_groups(steps: Sequence[Step]) -> bool:
    """Whether a new login is needed."""
    return any(step.what.startswith("group ") and not step.already and not step.problem for step in steps)
