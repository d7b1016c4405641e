"""Translate a user's limits for the engine, and warn about limits that exceed this server."""

from __future__ import annotations

from ds01.engines.protocol import EngineInfo
from ds01.errors import EngineUnreachable
from ds01.lifecycle.context.context import Context
from ds01.lifecycle.spec.compose import ResourceLimits, resource_limits
from ds01.policy.model import UserLimits
from ds01.policy.names import slice_name, slice_path
from ds01.policy.units import readable_sizes
from ds01.system.users import Account

# Assumed if the engine does not answer: the limits then follow from the policy alone.
_USUAL_FACTS = EngineInfo("", "docker", "", "systemd", "2", False, "runc", (), 0, 0)


def limits_for_engine(context: Context, account: Account, limits: UserLimits) -> tuple[ResourceLimits, tuple[str, ...]]:
    """Return an account's limits for the engine, and warnings about limits that exceed this server."""
    facts = _engine_facts(context)
    parent = cgroup_parent(facts, limits.group, account.login, account.uid)
    warnings = []
    most = limits.limits
    if most.max_cpus is not None and 0 < facts.cpus < most.max_cpus:
        warnings.append(f"max_cpus is {most.max_cpus:g}, but this server has {facts.cpus}")
    if most.memory is not None and 0 < facts.memory_bytes < most.memory:
        limit, installed = readable_sizes(most.memory, facts.memory_bytes)
        warnings.append(f"memory is {limit}, but this server has {installed}")
    return resource_limits(most, parent, facts.memory_bytes), tuple(warnings)


def cgroup_parent(facts: EngineInfo, group: str, user: str, uid: int) -> str:
    """Return the cgroup parent of a user's containers in the form that the engine's cgroup driver takes."""
    names = (group, user, uid)
    return slice_path(*names) if facts.cgroup_driver == "cgroupfs" else slice_name(*names)


def _engine_facts(context: Context) -> EngineInfo:
    try:
        return context.observer.engine_facts()
    except EngineUnreachable:
        return _USUAL_FACTS
