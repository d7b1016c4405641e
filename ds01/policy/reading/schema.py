"""The keys of `resource-limits.yaml`, and what each may say."""

from __future__ import annotations

from datetime import tzinfo
from typing import Any

from ds01.policy import units
from ds01.policy.model import Network, Placement, Prefer
from ds01.policy.reading.forms import Kind, Reader
from ds01.policy.reading.kinds import (
    ARGUMENT,
    BOOLEAN,
    CORES,
    DURATION,
    FOLDER,
    GROUP_NAME,
    HOST,
    HOURS,
    LOGIN,
    LOGIN_OR_GROUP,
    MEMORY,
    PROFILE,
    REASON,
    SLOT,
    TASKS,
    TEXT,
    ULIMIT,
    UNIX_GROUP,
    VARIABLE,
    VARIABLE_VALUE,
    number,
    one_of,
    size_from,
    whole,
    word,
)
from ds01.policy.reading.shapes import Renamed, list_of, section, table, value

NESTED = ("ulimits", "environment", "aggregate", "group_total")
EXEMPTIBLE = ("idle_timeout", "max_runtime", "gpu_hold_after_stop", "container_hold_after_stop", "created_timeout")
ULIMITS = (
    "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio",
    "rttime", "sigpending", "stack",
)  # fmt: skip

_SHARE = section(
    {
        "max_cpus": value(number(0.01, CORES), null=True),
        "memory": value(MEMORY, null=True),
        "max_tasks": value(whole(1, TASKS), null=True),
    }
)

# Where Docker or systemd takes 0 for "no limit", the least is above it: here 0 never means that.
LIMITS: dict[str, Reader] = {
    "max_mig_instances": value(whole(0), null=True),
    "max_gpus_per_container": value(whole(0), null=True),
    "allow_full_gpu": value(BOOLEAN),
    "max_cpus": value(number(0.01, CORES), null=True),
    "memory": value(MEMORY, null=True),
    "memory_swap": value(MEMORY, null=True),
    "shm_size": value(size_from(4 << 10), null=True),
    "pids_limit": value(whole(1, TASKS), null=True),
    "max_containers_per_user": value(whole(0), null=True),
    "idle_timeout": value(DURATION, null=True),
    "max_runtime": value(DURATION, null=True),
    "gpu_hold_after_stop": value(DURATION, null=True),
    "container_hold_after_stop": value(DURATION, null=True),
    "max_extension": value(DURATION, null=True),
    "priority": value(whole(1, 100)),
    "environment": table(VARIABLE, value(VARIABLE_VALUE, null=True)),
    "root_inside": value(BOOLEAN),
    "ulimits": table(word(ULIMITS), value(ULIMIT, null=True)),
    "aggregate": _SHARE,
    "group_total": _SHARE,
}


def _in_hours(key: str) -> Renamed:
    return Renamed(key, value(HOURS, null=True), lambda span: "null" if span is None else units.format_duration(span))


def _same(key: str) -> Renamed:
    return Renamed(key, LIMITS[key], lambda count: "null" if count is None else str(count))


OLD_LIMITS: dict[str, Renamed] = {
    "max_gpus_per_user": _same("max_mig_instances"),
    "max_gpu_slots_per_container": _same("max_gpus_per_container"),
    "max_runtime_h": _in_hours("max_runtime"),
    "idle_timeout_h": _in_hours("idle_timeout"),
    "gpu_hold_after_stop_h": _in_hours("gpu_hold_after_stop"),
    "container_hold_after_stop_h": _in_hours("container_hold_after_stop"),
}


def policy_reader(zone: tzinfo) -> Reader:
    """Return the reader of the whole file, as a Section of Sections. `zone` is that of dates."""
    json = {"type": "string", "pattern": units.TIME_PATTERN}
    until = Kind(lambda text: units.parse_time(text, zone), units.TIME_FORM, json)
    start = Kind(lambda text: units.parse_time(text, zone, day_begins=True), units.TIME_FORM, json)
    group: dict[str, Any] = {
        "members": list_of(value(LOGIN), "logins"),
        "unix_groups": list_of(value(UNIX_GROUP), "Unix groups"),
        "admin": value(BOOLEAN),
    }
    override = {"until": value(until, null=True), "reason": value(REASON, null=True)}
    reservation = section(
        {
            "for": value(LOGIN_OR_GROUP),
            "slots": list_of(value(SLOT), "slots", unique=True, some=True),
            "from": value(start),
            "until": value(until),
            "reason": value(REASON, null=True),
        },
        required=("for", "slots", "from", "until"),
    )
    exemption = section(
        {
            "user": value(LOGIN),
            "from": list_of(value(word(EXEMPTIBLE)), "limits", unique=True, some=True),
            "until": value(until, null=True),
            "reason": value(REASON, null=True),
        },
        required=("user", "from"),
    )
    return section(
        {
            "defaults": section(LIMITS, old=OLD_LIMITS),
            "default_group": value(GROUP_NAME, null=True),
            "groups": table(GROUP_NAME, section({**group, **LIMITS}, old=OLD_LIMITS)),
            "user_overrides": table(LOGIN, section({**LIMITS, **override}, old=OLD_LIMITS)),
            "reservations": list_of(reservation, "reservations"),
            "exemptions": list_of(exemption, "exemptions"),
            **_SERVER,
        }
    )


# The sections about the server whose single keys `ds01 policy import` checks too.
SERVER_KEYS: dict[str, dict[str, Reader]] = {
    "gpu_allocation": {
        "enable_mig": value(BOOLEAN),
        "mig_profile": value(PROFILE, null=True),
        "placement": value(one_of(Placement)),
        "prefer": value(one_of(Prefer)),
    },
    "policies": {
        "idle_cpu_percent": value(number(0, 100 * CORES)),
        "idle_gpu_percent": value(number(0, 100)),
        "idle_network_rate": value(size_from(0)),
        "warn_idle_at": value(number(0, 1)),
        "warn_runtime_at": value(number(0, 1)),
        "created_timeout": value(DURATION, null=True),
        "stop_grace": value(DURATION),
        "keep_alive_max": value(DURATION, null=True),
    },
}

_SERVER: dict[str, Reader] = {
    **{name: section(readers) for name, readers in SERVER_KEYS.items()},
    "mounts": section({name: list_of(value(FOLDER), "folders") for name in ("workspace", "data", "models")}),
    "workspaces": value(FOLDER, null=True),
    "ports": list_of(value(whole(1, 65535)), "ports", unique=True),
    "network": value(one_of(Network)),
    "reclaim_held": value(BOOLEAN),
    "server_name": value(HOST, null=True),
    "outside": section(
        {
            "ignore_containers": list_of(value(TEXT), "names"),
            "ignore_processes": list_of(value(TEXT), "names"),
            "ignore_graphics_below": value(size_from(0), null=True),
            "ignore_missing_process_list": value(BOOLEAN),
        }
    ),
    "notify": section(
        {
            "terminal": value(BOOLEAN),
            "command": list_of(value(ARGUMENT), "texts, a program and its arguments"),
        }
    ),
}
