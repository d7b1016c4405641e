"""Format a user's limits as labelled lines, for `ds01 limits`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NamedTuple

from ds01.policy.model import SliceLimits, UserLimits
from ds01.policy.units import format_duration, format_number, format_size, readable_size

NO_LIMIT = "no limit"


class LimitLine(NamedTuple):
    """A line of a list of limits, shown as `label: text`.

    `key` is the policy key, as in `UserLimits.sources`; it is empty in the lines for user, group and rights.
    """

    key: str
    label: str
    text: str


_LABELS = {
    "priority": "Priority",
    "max_mig_instances": "Max MIG Instances",
    "max_gpus_per_container": "Max GPUs per Container",
    "allow_full_gpu": "Whole GPUs",
    "max_cpus": "Max CPUs",
    "memory": "Memory",
    "memory_swap": "Memory and Swap",
    "shm_size": "Shared Memory",
    "pids_limit": "Max Processes",
    "max_containers_per_user": "Max Containers",
    "idle_timeout": "Idle Timeout",
    "max_runtime": "Max Runtime",
    "gpu_hold_after_stop": "GPU Hold After Stop",
    "container_hold_after_stop": "Container Hold After Stop",
    "max_extension": "Max Extension",
    "root_inside": "Root Inside",
}
_SIZES = ("memory", "memory_swap", "shm_size")
_BYTES = ("core", "data", "fsize", "memlock", "msgqueue", "rss", "stack")  # the ulimits in bytes
_SHARES = {"aggregate": "All Containers", "group_total": "Whole Group"}


def limit_lines(user: UserLimits, *, exact: bool = False) -> tuple[LimitLine, ...]:
    """Return the limits in reading order; slice limits only if they are set.

    `exact`: do not round sizes.
    """
    found = [LimitLine("", "User", user.user), LimitLine("", "Group", user.group)]
    if user.admin:
        found.append(LimitLine("", "Administrator", "yes"))
    found += [LimitLine(key, label, _text(key, getattr(user.limits, key), exact)) for key, label in _LABELS.items()]
    found += [
        LimitLine(f"ulimits.{name}", f"Ulimit {name}", _ulimit(name, value, exact))
        for name, value in user.limits.ulimits.items()
    ]
    found += [
        LimitLine(f"environment.{name}", f"Variable {name}", "not set" if value is None else value)
        for name, value in user.limits.environment.items()
    ]
    for section, whose in _SHARES.items():
        share: SliceLimits = getattr(user.limits, section)
        shown = (("max_cpus", "CPUs"), ("memory", "Memory"), ("max_tasks", "Tasks"))
        found += [
            LimitLine(f"{section}.{key}", f"{whose}: {what}", _text(key, getattr(share, key), exact))
            for key, what in shown
            if getattr(share, key) is not None
        ]
    return tuple(found)


def _text(key: str, value: Any, exact: bool) -> str:
    if value is None:
        return "as Memory" if key == "memory_swap" else NO_LIMIT
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, timedelta):
        return format_duration(value)
    if key in _SIZES:
        return format_size(value) if exact else readable_size(value)
    return format_number(value)


def _ulimit(name: str, value: int | None, exact: bool) -> str:
    if value is None:
        return "Docker's own"
    if value == -1:
        return "unlimited"
    if name in _BYTES:
        return format_size(value) if exact else readable_size(value)
    return str(value)
