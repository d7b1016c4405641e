"""The keys of ds01-infra's `resource-limits.yaml` in all published versions, with their current keys. Only data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class CurrentKey(NamedTuple):
    """The current key for an old one (dotted if nested), and the form of its value (see `values`)."""

    key: str
    form: str


# The limits of `defaults`, a group or a user. If several old keys map to one key, the first here counts.
LIMITS: Mapping[str, CurrentKey] = {
    "max_gpu_equivalents": CurrentKey("max_mig_instances", "slots"),
    "max_gpu_slots": CurrentKey("max_mig_instances", "slots"),
    "max_mig_instances": CurrentKey("max_mig_instances", "slots"),
    "max_gpus_per_user": CurrentKey("max_mig_instances", "slots"),
    "gpus": CurrentKey("max_mig_instances", "slots"),
    "max_gpu_slots_per_container": CurrentKey("max_gpus_per_container", "slots"),
    "max_mig_per_container": CurrentKey("max_gpus_per_container", "slots"),
    "max_gpus_per_container": CurrentKey("max_gpus_per_container", "slots"),
    "allow_full_gpu": CurrentKey("allow_full_gpu", "flag"),
    "max_cpus": CurrentKey("max_cpus", "same"),
    "cpus": CurrentKey("max_cpus", "same"),
    "memory": CurrentKey("memory", "size"),
    "memory_swap": CurrentKey("memory_swap", "size"),
    "shm_size": CurrentKey("shm_size", "size"),
    "pids_limit": CurrentKey("pids_limit", "same"),
    "max_containers_per_user": CurrentKey("max_containers_per_user", "same"),
    "max_concurrent_containers": CurrentKey("max_containers_per_user", "same"),
    "idle_timeout_h": CurrentKey("idle_timeout", "hours"),
    "idle_timeout": CurrentKey("idle_timeout", "same"),
    "max_runtime_h": CurrentKey("max_runtime", "hours"),
    "max_runtime": CurrentKey("max_runtime", "same"),
    "gpu_time_limit": CurrentKey("max_runtime", "same"),
    "gpu_hold_after_stop_h": CurrentKey("gpu_hold_after_stop", "hours"),
    "gpu_hold_after_stop": CurrentKey("gpu_hold_after_stop", "same"),
    "container_hold_after_stop_h": CurrentKey("container_hold_after_stop", "hours"),
    "container_hold_after_stop": CurrentKey("container_hold_after_stop", "same"),
    "priority": CurrentKey("priority", "same"),
    "ulimit_nofile": CurrentKey("ulimits.nofile", "same"),
    "aggregate.cpu_quota": CurrentKey("aggregate.max_cpus", "percent"),
    "aggregate.memory_max": CurrentKey("aggregate.memory", "size"),
    "aggregate.tasks_max": CurrentKey("aggregate.max_tasks", "same"),
    "aggregate.gpu_limit": CurrentKey("max_mig_instances", "slots"),
    "max_tasks": CurrentKey("aggregate.max_tasks", "same"),
}

POLICIES: Mapping[str, CurrentKey] = {
    "cpu_idle_threshold": CurrentKey("idle_cpu_percent", "same"),
    "gpu_idle_threshold": CurrentKey("idle_gpu_percent", "same"),
    "created_container_timeout_m": CurrentKey("created_timeout", "minutes"),
    "created_container_timeout": CurrentKey("created_timeout", "same"),
    "sigterm_grace_s": CurrentKey("stop_grace", "seconds"),
    "sigterm_grace_seconds": CurrentKey("stop_grace", "seconds"),
    "keepalive_max_duration_h": CurrentKey("keep_alive_max", "hours"),
    "keepalive_max_duration": CurrentKey("keep_alive_max", "same"),
}

# Why a key, or everything below it, has no counterpart. The longest matching path counts; `*` is any one name.
REMOVED_KEYS: Mapping[str, str] = {
    "gpu_memory": "the memory of a GPU or MIG instance is the hardware's",
    "io_read_bps": "ds01 does not limit disks",
    "io_write_bps": "ds01 does not limit disks",
    "storage_workspace": "ds01 sets no disk quotas",
    "storage_data": "ds01 sets no disk quotas",
    "storage_tmp": "ds01 sets no disk quotas",
    "gpu_idle_threshold": "idleness has the same thresholds for everybody: policies.idle_gpu_percent",
    "aggregate.memory_high": "ds01 sets only the hard limit, memory",
    "groups.*.policies": "idleness has the same thresholds for everybody: the section `policies`",
    "approved_by": "kept as a comment",
    "approved_on": "kept as a comment",
    "category": "kept as a comment",
    "policies.checkpoint_warning": "write it as a part of the limit: policies.warn_idle_at",
    "policies.soft_limit_threshold": "there are no soft limits",
    "policies.high_demand_threshold": "deadlines do not depend on how busy the server is",
    "policies.high_demand_idle_reduction": "deadlines do not depend on how busy the server is",
    "policies.network_idle_threshold": "it counted bytes per check; write bytes a second: policies.idle_network_rate",
    "policies.idle_detection_window": "idleness counts from the last activity",
    "policies.grace_period": "idleness counts from the start at the earliest",
    "policies.grace_period_m": "idleness counts from the start at the earliest",
    "policies.gpu_hold_after_manual_stop": "the hold is the same for every stop: gpu_hold_after_stop",
    "policies.gpu_hold_after_manual_stop_m": "the hold is the same for every stop: gpu_hold_after_stop",
    "policies.require_workspace_mount": "every container has its workspace",
    "policies.enforce_storage_quotas": "ds01 sets no disk quotas",
    "policies.graceful_errors": "always so",
    "policies.suggest_alternatives": "always so",
    "gpu_allocation.strategy": "placement is `spread`, or `pack`",
    "gpu_allocation.allocation_method": "a GPU is leased when a container is created",
    "gpu_allocation.pin_gpu": "always so",
    "gpu_allocation.allow_multi_gpu": "max_gpus_per_container replaces it",
    "gpu_allocation.mig_strategy": "MIG is what nvidia-smi has set up",
    "gpu_allocation.mig_gpus": "ds01 uses the MIG instances that nvidia-smi has created",
    "gpu_allocation.mig_instances_per_gpu": "each MIG instance counts as one slot",
    "gpu_allocation.slots_per_gpu": "each MIG instance counts as one slot",
    "gpu_allocation.respect_reservations": "always so",
    "enforcement": "limits are always enforced where systemd runs the slices",
    "container_types": "ds01 acts on its own containers only",
    "monitoring": "ds01 acts on its own containers only",
    "bare_metal_access": "ds01 does not control GPU use outside containers; doctor reports it",
    "access_control": "a group with `admin: true` acts for others",
    "advanced": "ds01 has no such setting",
    "wizard": "the wizards have no settings",
}

# Keys with special treatment, so that they are in neither of the tables above.
RESERVATION_KEYS = ("reservation_start", "reservation_end", "reserved_gpus")
EXEMPTION_KEYS = {"username": "user", "exempt_from": "from", "expires_on": "until"}


def current_key(name: str) -> str | None:
    """Return the current name of an old policy's key, for a hint; None for other keys."""
    all_keys = {**LIMITS, **{name.removeprefix("aggregate."): new for name, new in LIMITS.items()}, **POLICIES}
    if name in all_keys and all_keys[name].key != name:
        return all_keys[name].key
    return EXEMPTION_KEYS.get(name)


def is_removed(name: str) -> bool:
    """Return whether a key is an old policy's key without a counterpart, in any section."""
    return (
        any(name in path.split(".") for path in REMOVED_KEYS if path != "groups.*.policies") or name in RESERVATION_KEYS
    )
