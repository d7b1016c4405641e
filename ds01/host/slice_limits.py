"""Apply the policy's limits to the slices of this machine, for `ds01 slices apply`, the tick and doctor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from ds01.dataclass import dataclass
from ds01.errors import Ds01Error, InvalidState
from ds01.host.people import collect_people
from ds01.host.slices import SliceChange, plan_slices, unsure_slices, wanted_slices
from ds01.host.systemd import Systemd, is_running
from ds01.lifecycle.context.owners import Owners
from ds01.policy.model import Policy, SliceLimits
from ds01.policy.units import format_number, readable_size
from ds01.records.record import Record
from ds01.records.store.tick_memory import TickMemory
from ds01.system.users import Users

NO_MEMORY = TickMemory()


@dataclass(frozen=True)
class SliceOutcome:
    """The applied changes; those that wait, since the slice uses more memory than allowed; and failures with why."""

    changed: tuple[SliceChange, ...] = ()
    waiting: tuple[SliceChange, ...] = ()
    failed: tuple[tuple[SliceChange, str], ...] = ()


def plan_changes(
    policy: Policy,
    records: Sequence[Record],
    users: Users,
    now: datetime,
    *,
    driver: str,
    systemd: Systemd | None = None,
    memory: TickMemory = NO_MEMORY,
) -> list[SliceChange]:
    """Return the needed changes. `driver`: the engine's cgroup driver; `memory`: the tick's memory.

    Slices of users whose limits are uncertain, since the user database does not answer, are left out.

    Raises InvalidState if the policy limits slices and this machine cannot enforce that.
    """
    people = collect_people(policy, records=records, users=users)
    wanted = wanted_slices(policy, people.accounts, records, now)
    problem = find_obstacle(driver)
    if problem is not None:
        if wanted:
            raise problem
        return []
    changes = plan_slices(wanted, (systemd or Systemd()).limits(wanted))
    unsure = unsure_slices(Owners(policy, users, memory), people, records, now)
    return [change for change in changes if not unsure(change.unit)]


def apply_changes(
    changes: Iterable[SliceChange], *, systemd: Systemd | None = None, respect_usage: bool = True
) -> SliceOutcome:
    """Apply planned changes; a failure does not stop the others.

    `respect_usage`: set no memory limit below a slice's current use, or the kernel would kill processes in it.
    """
    changes = list(changes)
    systemd = systemd or Systemd()
    waiting: list[SliceChange] = []
    if respect_usage and any(change.after.memory is not None for change in changes):
        changes, waiting = split_by_usage(changes, systemd.memory_used())
    applied, failed = [], []
    for change in changes:
        try:
            systemd.set_limits(change)
        except Ds01Error as error:
            failed.append((change, error.why or error.message))
        else:
            applied.append(change)
    return SliceOutcome(tuple(applied), tuple(waiting), tuple(failed))


def split_by_usage(
    changes: Iterable[SliceChange], used: Mapping[str, int]
) -> tuple[list[SliceChange], list[SliceChange]]:
    """Split changes into those to apply now and those whose memory limit has to wait. Pure.

    The other limits of a waiting change are applied now.
    """
    now, waiting = [], []
    for change in changes:
        memory = change.after.memory
        if memory is None or used.get(change.unit, 0) <= memory:
            now.append(change)
            continue
        waiting.append(change)
        rest = replace(change, after=replace(change.after, memory=change.before.memory))
        if rest.after != rest.before:
            now.append(rest)
    return now, waiting


def find_obstacle(driver: str) -> InvalidState | None:
    """Return why slices cannot have limits on this machine; None if they can."""
    if driver != "systemd":
        why, hint = describe_driver_obstacle(driver)
        return InvalidState(
            "limits of users' and groups' slices need Docker's systemd cgroup driver", why=why, hint=hint
        )
    if not is_running():
        return InvalidState("systemd does not run this machine", why="slices need systemd")
    return None


def describe_driver_obstacle(driver: str) -> tuple[str, str]:
    """Return why another cgroup driver is a problem, and what to do."""
    return (
        f"Docker uses the driver {driver}: slices are then plain cgroups that Docker creates without limits",
        'put {"exec-opts": ["native.cgroupdriver=systemd"]} into /etc/docker/daemon.json and restart Docker',
    )


def describe_share(share: SliceLimits) -> str:
    """Return limits as text, such as `48 CPUs, 192g, 16384 tasks`."""
    words = [
        f"{format_number(share.max_cpus)} CPUs" if share.max_cpus is not None else None,
        readable_size(share.memory) if share.memory is not None else None,
        f"{share.max_tasks} tasks" if share.max_tasks is not None else None,
    ]
    return ", ".join(word for word in words if word) or "no limits"
