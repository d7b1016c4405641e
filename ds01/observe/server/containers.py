"""The containers of the server with their use, and the sums of users and groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ds01.api.seeing.server_view import ServerContainer, ServerGroup, ServerUser
from ds01.api.views import ContainerView
from ds01.engines.protocol import ContainerUsage
from ds01.lifecycle.context.context import Context
from ds01.placement.allocator import quota_used
from ds01.records.record import Record
from ds01.records.state_machine import State
from ds01.system.data import DataError, parse_time

SHORTEST_MEAN = timedelta(seconds=1)  # a shorter time since the last sample says little about CPU use
UNKNOWN_USAGE = ContainerUsage(None, None, None, None)


def container_view(record: Record, view: ContainerView, usage: ContainerUsage, now: datetime) -> ServerContainer:
    """Return a container with its use; CPU as the mean since the tick's last sample."""
    limits = record.resource_limits
    return ServerContainer(
        container=view,
        group=record.group,
        cpu_percent=mean_cpu(last_sample(record), usage, now),
        cpus=limits.max_cpus,
        memory_bytes=usage.memory_bytes,
        memory_limit_bytes=limits.memory or usage.memory_limit_bytes,
        pids=usage.pids,
        pids_limit=limits.pids_limit,
        activity=activity_of(record),
    )


def foreign_container(view: ContainerView) -> ServerContainer:
    """Return a container from outside ds01, whose use is not measured."""
    return ServerContainer(view, None, None, None, None, None, None, None, None)


def activity_of(record: Record) -> str | None:
    """Return how the last tick judged a running container: active, idle, unknown; None if it does not run."""
    if record.state is not State.RUNNING:
        return None
    state = record.activity.get("state")
    return state if state in ("active", "idle") else "unknown"


def last_sample(record: Record) -> Mapping[str, Any]:
    """Return the tick's last sample of a record; empty without one."""
    sample = record.activity.get("sample")
    return sample if isinstance(sample, dict) else {}


def mean_cpu(sample: Mapping[str, Any], usage: ContainerUsage, now: datetime) -> float | None:
    """Return the CPU use since a sample, in percent of one core; None if it is unknown, or too early to tell."""
    before = sample.get("cpu_nanoseconds")
    try:
        elapsed = now - parse_time(str(sample.get("cpu_at") or sample.get("at")))
    except DataError:
        return None
    if not isinstance(before, int) or usage.cpu_nanoseconds is None or elapsed < SHORTEST_MEAN:
        return None
    used = usage.cpu_nanoseconds - before  # negative: it was started again since
    return used / 1e9 / elapsed.total_seconds() * 100 if used >= 0 else None


def user_views(
    context: Context,
    records: Sequence[Record],
    containers: Sequence[ServerContainer],
    leases: Sequence[Any],
    waiting: Mapping[str, int],
) -> tuple[ServerUser, ...]:
    """Return everybody who has a record or waits, by login. `waiting`: entries in the queue by login."""
    by_owner: dict[int, list[Record]] = {}
    for record in records:
        by_owner.setdefault(record.uid, []).append(record)
    views = []
    for uid, owned in by_owner.items():
        resolved = context.rules.limits_of(owned[0])
        used = [item for item in containers if item.container.uid == uid]
        real = [item for item in used if not item.container.is_manual]
        views.append(
            ServerUser(
                user=owned[0].user,
                uid=uid,
                group=resolved.group,
                priority=resolved.limits.priority,
                gpus=quota_used(leases, uid),
                gpus_limit=resolved.limits.max_mig_instances,
                containers=len(real),
                containers_limit=resolved.limits.max_containers_per_user,
                running=sum(item.container.state == State.RUNNING.value for item in real),
                cpu_percent=total(item.cpu_percent for item in _running(real)),
                memory_bytes=total(item.memory_bytes for item in _running(real)),
                waiting=waiting.get(owned[0].user, 0),
            )
        )
    return tuple(sorted(views, key=lambda view: view.user))


def group_views(users: Iterable[ServerUser]) -> tuple[ServerGroup, ...]:
    """Return the sums of each group, by name."""
    groups: dict[str, list[ServerUser]] = {}
    for user in users:
        groups.setdefault(user.group, []).append(user)
    return tuple(
        ServerGroup(
            group=name,
            users=len(members),
            gpus=sum(member.gpus for member in members),
            containers=sum(member.containers for member in members),
            running=sum(member.running for member in members),
            cpu_percent=total(member.cpu_percent for member in members if member.running),
            memory_bytes=total(member.memory_bytes for member in members if member.running),
        )
        for name, members in sorted(groups.items())
    )


def _running(containers: Iterable[ServerContainer]) -> list[ServerContainer]:
    return [item for item in containers if item.container.state == State.RUNNING.value]


def total(values: Iterable[Any]) -> Any:
    """Return the sum; None if one of the values is unknown, since a sum without it would be too small."""
    known = list(values)
    return None if None in known else sum(known)
