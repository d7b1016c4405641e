"""Resolve the policy for one user, field by field: exemption, override, group, defaults."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

from ds01.policy.model import AutomationRules, Group, Limits, LimitValues, Policy, SliceLimits, UserLimits

FALLBACK_GROUP = "default"  # the group of users without one, if the policy has no default_group


def resolve(
    policy: Policy,
    user: str,
    unix_groups: Collection[str],
    now: datetime,
    *,
    spellings: Collection[str] = (),
    group: str | None = None,
) -> UserLimits:
    """Return the limits of the login `user` at the aware time `now`.

    `unix_groups` are the user's; `spellings` are other logins in the policy for the same user. `group` is the
    user's group, if the policy still has it, whatever the other arguments say.
    """
    names = (user, *sorted(spellings))
    if group is None or group not in policy.groups:
        group = group_of(policy, user, unix_groups, spellings=spellings)
    levels = _group_levels(policy, group)
    override = next((policy.user_overrides[name] for name in names if name in policy.user_overrides), None)
    if override is not None and is_in_force(override.until, now):
        levels.append((f"user_overrides.{override.user}", override.values))
    exempt_keys = _exempt_keys(policy, names, now)
    levels.append(("exemptions", {key: None for key in exempt_keys if key in BUILT_IN}))
    limits, sources = merge_levels(levels)
    admin = is_admin(policy, user, unix_groups, spellings=spellings)
    return UserLimits(user, group, admin, limits, sources, tuple(sorted(exempt_keys)))


def group_of(policy: Policy, user: str, unix_groups: Collection[str], *, spellings: Collection[str] = ()) -> str:
    """Return the user's group: the first in file order that has the user, else the default group."""
    names = {user, *spellings}
    found = (group.name for group in policy.groups.values() if _contains(group, names, unix_groups))
    return next(found, policy.default_group or FALLBACK_GROUP)


def is_admin(policy: Policy, user: str, unix_groups: Collection[str], *, spellings: Collection[str] = ()) -> bool:
    """Return whether any group with `admin: true` has the user, even if another group decides the user's limits."""
    names = {user, *spellings}
    return any(group.admin and _contains(group, names, unix_groups) for group in policy.groups.values())


def group_limits(policy: Policy, group: str) -> Limits:
    """Return the limits of a member without an override; `group_total` applies to the group's slice."""
    return merge_levels(_group_levels(policy, group))[0]


def automation_for(policy: Policy, user: UserLimits) -> AutomationRules:
    """Return the automation rules for one user, without `created_timeout` if the user is exempt from it."""
    if "created_timeout" in user.exempt_from:
        return replace(policy.policies, created_timeout=None)
    return policy.policies


def is_in_force(until: datetime | None, now: datetime) -> bool:
    """Return whether something that applies up to and including `until` (None: no end) applies at `now`."""
    return until is None or now <= until


def merge_levels(levels: Iterable[tuple[str, LimitValues]]) -> tuple[Limits, Mapping[str, str]]:
    """Merge levels, given from the most general to the most specific; return the limits and each key's level.

    Keys that no level sets have built-in defaults, and belong to `defaults`.
    """
    values = dict(BUILT_IN)
    sources = dict.fromkeys(values, "defaults")
    for name, level_values in levels:
        values.update(level_values)
        sources.update(dict.fromkeys(level_values, name))
    nested: dict[str, dict[str, Any]] = {"ulimits": {}, "environment": {}, "aggregate": {}, "group_total": {}}
    top_level: dict[str, Any] = {}
    for key, value in values.items():
        section, dot, name = key.partition(".")
        if dot:
            nested[section][name] = value
        else:
            top_level[key] = value
    shares: dict[str, Any] = {key: SliceLimits(**nested[key]) for key in ("aggregate", "group_total")}
    return Limits(**top_level, **shares, ulimits=nested["ulimits"], environment=nested["environment"]), sources


def _exempt_keys(policy: Policy, names: Collection[str], now: datetime) -> set[str]:
    """Return the keys, like `idle_timeout`, that exemptions in force at `now` lift for the user."""
    user_exemptions = (item.limits for item in policy.exemptions if item.user in names and is_in_force(item.until, now))
    return {limit for limits in user_exemptions for limit in limits}


def _contains(group: Group, names: Collection[str], unix_groups: Collection[str]) -> bool:
    return not group.members.isdisjoint(names) or not group.unix_groups.isdisjoint(unix_groups)


def _group_levels(policy: Policy, group: str) -> list[tuple[str, LimitValues]]:
    levels = [("defaults", policy.defaults)]
    if group in policy.groups:
        levels.append((f"groups.{group}", policy.groups[group].values))
    return levels


def _flatten(limits: Limits) -> LimitValues:
    values: dict[str, Any] = {}
    for item in fields(limits):
        value = getattr(limits, item.name)
        if isinstance(value, SliceLimits):
            values.update({f"{item.name}.{inner.name}": getattr(value, inner.name) for inner in fields(value)})
        elif isinstance(value, Mapping):
            values.update({f"{item.name}.{name}": inner for name, inner in value.items()})
        else:
            values[item.name] = value
    return values


BUILT_IN: LimitValues = _flatten(Limits())
