"""The keys of `resource-limits.yaml`, and the allowed values of each."""

from __future__ import annotations

from datetime import tzinfo
from typing import Any

from ds01.policy import units
from ds01.policy.model import Network, Placement, PreferredKind
from ds01.policy.reading.node_readers import RenamedKey, list_reader, scalar_reader, section_reader, table_reader
from ds01.policy.reading.reader_schema import NodeReader, ValueType
from ds01.policy.reading.value_types import (
    ARGUMENT,
    BOOLEAN,
    CURRENCY,
    DURATION,
    FOLDER,
    GROUP_NAME,
    HOST,
    HOURS,
    LOGIN,
    LOGIN_OR_GROUP,
    MAX_CORES,
    MAX_TASKS,
    MEMORY,
    PROFILE,
    REASON,
    SLOT,
    TEXT,
    TEXTFILE,
    ULIMIT,
    UNIX_GROUP,
    VARIABLE,
    VARIABLE_VALUE,
    choice_type,
    enum_type,
    integer_type,
    number_type,
    size_type,
)

NESTED = ("ulimits", "environment", "aggregate", "group_total")
EXEMPTIBLE = ("idle_timeout", "max_runtime", "gpu_hold_after_stop", "container_hold_after_stop", "created_timeout")
ULIMITS = (
    "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio",
    "rttime", "sigpending", "stack",
)  # fmt: skip

_SHARE = section_reader(
    {
        "max_cpus": scalar_reader(number_type(0.01, MAX_CORES), nullable=True),
        "memory": scalar_reader(MEMORY, nullable=True),
        "max_tasks": scalar_reader(integer_type(1, MAX_TASKS), nullable=True),
    }
)

# Where Docker or systemd takes 0 for "no limit", the minimum is above 0: in a policy 0 never means that.
LIMITS: dict[str, NodeReader] = {
    "max_mig_instances": scalar_reader(integer_type(0), nullable=True),
    "max_gpus_per_container": scalar_reader(integer_type(0), nullable=True),
    "allow_full_gpu": scalar_reader(BOOLEAN),
    "max_cpus": scalar_reader(number_type(0.01, MAX_CORES), nullable=True),
    "memory": scalar_reader(MEMORY, nullable=True),
    "memory_swap": scalar_reader(MEMORY, nullable=True),
    "shm_size": scalar_reader(size_type(4 << 10), nullable=True),
    "pids_limit": scalar_reader(integer_type(1, MAX_TASKS), nullable=True),
    "max_containers_per_user": scalar_reader(integer_type(0), nullable=True),
    "idle_timeout": scalar_reader(DURATION, nullable=True),
    "max_runtime": scalar_reader(DURATION, nullable=True),
    "gpu_hold_after_stop": scalar_reader(DURATION, nullable=True),
    "container_hold_after_stop": scalar_reader(DURATION, nullable=True),
    "max_extension": scalar_reader(DURATION, nullable=True),
    "priority": scalar_reader(integer_type(1, 100)),
    "environment": table_reader(VARIABLE, scalar_reader(VARIABLE_VALUE, nullable=True)),
    "root_inside": scalar_reader(BOOLEAN),
    "ulimits": table_reader(choice_type(ULIMITS), scalar_reader(ULIMIT, nullable=True)),
    "aggregate": _SHARE,
    "group_total": _SHARE,
}


def _in_hours(key: str) -> RenamedKey:
    return RenamedKey(
        key, scalar_reader(HOURS, nullable=True), lambda span: "null" if span is None else units.format_duration(span)
    )


def _same(key: str) -> RenamedKey:
    return RenamedKey(key, LIMITS[key], lambda count: "null" if count is None else str(count))


LEGACY_LIMITS: dict[str, RenamedKey] = {
    "max_gpus_per_user": _same("max_mig_instances"),
    "max_gpu_slots_per_container": _same("max_gpus_per_container"),
    "max_runtime_h": _in_hours("max_runtime"),
    "idle_timeout_h": _in_hours("idle_timeout"),
    "gpu_hold_after_stop_h": _in_hours("gpu_hold_after_stop"),
    "container_hold_after_stop_h": _in_hours("container_hold_after_stop"),
}


def policy_reader(zone: tzinfo) -> NodeReader:
    """Return the reader of the whole file, as a Section of Sections. Dates are in `zone`."""
    json = {"type": "string", "pattern": units.TIME_PATTERN}
    until = ValueType(lambda text: units.parse_time(text, zone), units.TIME_FORM, json)
    start = ValueType(lambda text: units.parse_time(text, zone, day_begins=True), units.TIME_FORM, json)
    group: dict[str, Any] = {
        "members": list_reader(scalar_reader(LOGIN), "logins"),
        "unix_groups": list_reader(scalar_reader(UNIX_GROUP), "Unix groups"),
        "admin": scalar_reader(BOOLEAN),
    }
    override = {"until": scalar_reader(until, nullable=True), "reason": scalar_reader(REASON, nullable=True)}
    reservation = section_reader(
        {
            "for": scalar_reader(LOGIN_OR_GROUP),
            "slots": list_reader(scalar_reader(SLOT), "slots", unique=True, non_empty=True),
            "from": scalar_reader(start),
            "until": scalar_reader(until),
            "reason": scalar_reader(REASON, nullable=True),
        },
        required=("for", "slots", "from", "until"),
    )
    exemption = section_reader(
        {
            "user": scalar_reader(LOGIN),
            "from": list_reader(scalar_reader(choice_type(EXEMPTIBLE)), "limits", unique=True, non_empty=True),
            "until": scalar_reader(until, nullable=True),
            "reason": scalar_reader(REASON, nullable=True),
        },
        required=("user", "from"),
    )
    return section_reader(
        {
            "defaults": section_reader(LIMITS, legacy=LEGACY_LIMITS),
            "default_group": scalar_reader(GROUP_NAME, nullable=True),
            "groups": table_reader(GROUP_NAME, section_reader({**group, **LIMITS}, legacy=LEGACY_LIMITS)),
            "user_overrides": table_reader(LOGIN, section_reader({**LIMITS, **override}, legacy=LEGACY_LIMITS)),
            "reservations": list_reader(reservation, "reservations"),
            "exemptions": list_reader(exemption, "exemptions"),
            **_SERVER,
        }
    )


# Sections about the server whose keys `ds01 policy import` checks one by one.
SERVER_KEYS: dict[str, dict[str, NodeReader]] = {
    "gpu_allocation": {
        "enable_mig": scalar_reader(BOOLEAN),
        "mig_profile": scalar_reader(PROFILE, nullable=True),
        "placement": scalar_reader(enum_type(Placement)),
        "prefer": scalar_reader(enum_type(PreferredKind)),
    },
    "policies": {
        "idle_cpu_percent": scalar_reader(number_type(0, 100 * MAX_CORES)),
        "idle_gpu_percent": scalar_reader(number_type(0, 100)),
        "idle_network_rate": scalar_reader(size_type(0)),
        "warn_idle_at": scalar_reader(number_type(0, 1)),
        "warn_runtime_at": scalar_reader(number_type(0, 1)),
        "created_timeout": scalar_reader(DURATION, nullable=True),
        "stop_grace": scalar_reader(DURATION),
        "keep_alive_max": scalar_reader(DURATION, nullable=True),
    },
}

_SERVER: dict[str, NodeReader] = {
    **{name: section_reader(readers) for name, readers in SERVER_KEYS.items()},
    "mounts": section_reader(
        {name: list_reader(scalar_reader(FOLDER), "folders") for name in ("workspace", "data", "models")}
    ),
    "workspaces": scalar_reader(FOLDER, nullable=True),
    "ports": list_reader(scalar_reader(integer_type(1, 65535)), "ports", unique=True),
    "network": scalar_reader(enum_type(Network)),
    "status_page": scalar_reader(FOLDER, nullable=True),
    "status_page_names": scalar_reader(BOOLEAN),
    "reclaim_held": scalar_reader(BOOLEAN),
    "server_name": scalar_reader(HOST, nullable=True),
    "outside": section_reader(
        {
            "ignore_containers": list_reader(scalar_reader(TEXT), "names"),
            "ignore_processes": list_reader(scalar_reader(TEXT), "names"),
            "ignore_graphics_below": scalar_reader(size_type(0), nullable=True),
            "ignore_missing_process_list": scalar_reader(BOOLEAN),
        }
    ),
    "notify": section_reader(
        {
            "terminal": scalar_reader(BOOLEAN),
            "command": list_reader(scalar_reader(ARGUMENT), "texts, a program and its arguments"),
        }
    ),
    "metrics": section_reader(
        {
            "textfile": scalar_reader(TEXTFILE, nullable=True),
            "dcgm_job_mapping": scalar_reader(FOLDER, nullable=True),
        }
    ),
    "report": section_reader(
        {
            "energy_price": scalar_reader(number_type(0, 1000), nullable=True),
            "currency": scalar_reader(CURRENCY),
            "co2_grams_per_kwh": scalar_reader(number_type(0, 10_000), nullable=True),
            "monthly": scalar_reader(FOLDER, nullable=True),
        }
    ),
}
