"""Build a Policy from the sections of the file, with the checks that compare several keys."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ds01.policy.model import (
    AutomationRules,
    Exemption,
    GpuAllocation,
    Group,
    LegacyKey,
    LimitValues,
    MetricsSettings,
    MountRoots,
    NotificationSettings,
    OutsideUse,
    Override,
    Policy,
    ReportSettings,
    Reservation,
)
from ds01.policy.reading.node_readers import Section
from ds01.policy.reading.problems import ProblemList
from ds01.policy.reading.schema import NESTED
from ds01.policy.resolve import BUILT_IN, FALLBACK_GROUP
from ds01.policy.units import quote_text, readable_size, readable_sizes

_PLAIN = ("workspaces", "ports", "network", "reclaim_held", "server_name", "status_page", "status_page_names")


def build_policy(root: Section, members: Mapping[str, frozenset[str]], path: Path, problems: ProblemList) -> Policy:
    """Build the policy from its sections; `members` come from the files beside it, by group.

    The result is valid only if nothing was added to `problems`.
    """
    values = root.values
    sections: dict[str, Section] = values["groups"].values if "groups" in values else {}
    overrides: dict[str, Section] = values["user_overrides"].values if "user_overrides" in values else {}
    defaults = _values(values["defaults"]) if "defaults" in values else {}
    group_names = tuple(values["groups"].lines) if "groups" in values else ()
    _check_default_group(root, group_names, sections, problems)
    if "defaults" in values:
        _check_swap(values["defaults"], "defaults", {}, problems)
    for name, section in sections.items():
        _check_swap(section, f"groups.{name}", defaults, problems)
    for name, section in overrides.items():
        if section.values.keys() >= {"memory", "memory_swap"}:  # with only one of them, the result depends on the group
            _check_swap(section, f"user_overrides.{name}", {}, problems)
    notify = dict(_section_values(values, "notify"))
    if "command" in notify:
        notify["command"] = notify["command"] or None
    return Policy(
        path=path,
        defaults=defaults,
        default_group=values.get("default_group"),
        groups={name: _group(name, section, members.get(name, frozenset())) for name, section in sections.items()},
        user_overrides={name: _override(name, section) for name, section in overrides.items()},
        reservations=_reservations(values.get("reservations", ()), group_names, problems),
        exemptions=_exemptions(values.get("exemptions", ())),
        gpu_allocation=GpuAllocation(**_section_values(values, "gpu_allocation")),
        policies=AutomationRules(**_section_values(values, "policies")),
        mounts=MountRoots(**_section_values(values, "mounts")),
        outside=OutsideUse(**_section_values(values, "outside")),
        notify=NotificationSettings(**notify),
        metrics=MetricsSettings(**_section_values(values, "metrics")),
        report=ReportSettings(**_section_values(values, "report")),
        old_keys=_old_keys(path, [values.get("defaults"), *sections.values(), *overrides.values()]),
        **{key: values[key] for key in _PLAIN if key in values},
    )


def _section_values(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    return values[key].values if key in values else {}


def _values(section: Section) -> LimitValues:
    """Return the limits that a section sets, nested ones under names like `aggregate.memory`."""
    values: dict[str, Any] = {}
    for key, value in section.values.items():
        if key in NESTED:
            values.update({f"{key}.{name}": inner for name, inner in value.values.items()})
        elif key in BUILT_IN:
            values[key] = value
    return values


def _group(name: str, section: Section, members: frozenset[str]) -> Group:
    return Group(
        name,
        members=members.union(section.values.get("members", ())),
        unix_groups=frozenset(section.values.get("unix_groups", ())),
        admin=section.values.get("admin", False),
        values=_values(section),
    )


def _override(name: str, section: Section) -> Override:
    return Override(name, _values(section), section.values.get("until"), section.values.get("reason"))


def _reservations(
    parts: tuple[Section, ...], groups: tuple[str, ...], problems: ProblemList
) -> tuple[Reservation, ...]:
    found = []
    for index, section in enumerate(parts):
        key, values = f"reservations[{index}]", section.values
        beneficiary, start, end, slots = (
            values.get("for", ""),
            values.get("from"),
            values.get("until"),
            values.get("slots"),
        )
        if beneficiary[:1] == "@" and beneficiary[1:] not in groups:
            group_names = (
                f"a login, or a group: {', '.join(f'@{name}' for name in groups) or 'none is defined in `groups`'}"
            )
            problems.add(
                section.lines["for"], f"{key}.for", f"group {quote_text(beneficiary[1:])} does not exist", group_names
            )
        if not (start and end and slots):
            continue
        if start >= end:
            problems.add(section.lines["until"], f"{key}.until", "is not after `from`", "a time after `from`")
        owner = {"group": beneficiary[1:]} if beneficiary[:1] == "@" else {"user": beneficiary}
        found.append(Reservation(slots, start, end, reason=values.get("reason"), **owner))
    return tuple(found)


def _exemptions(parts: tuple[Section, ...]) -> tuple[Exemption, ...]:
    return tuple(
        Exemption(values["user"], values["from"], values.get("until"), values.get("reason"))
        for values in (section.values for section in parts)
        if "user" in values and "from" in values
    )


def _old_keys(path: Path, parts: list[Section | None]) -> tuple[LegacyKey, ...]:
    found = [LegacyKey(str(path), *old) for section in parts if section is not None for old in section.legacy_keys]
    return tuple(sorted(found, key=lambda old: old.line))


def _check_default_group(
    root: Section, group_names: tuple[str, ...], groups: Mapping[str, Section], problems: ProblemList
) -> None:
    name = root.values.get("default_group")
    allowed = ", ".join(group_names) or "a group that is defined in `groups`"
    if name is None:
        if FALLBACK_GROUP in group_names:  # it would mean two groups: this one, and users without a group
            line, another = (
                root.values["groups"].lines[FALLBACK_GROUP],
                f"another name, or `default_group: {FALLBACK_GROUP}`",
            )
            problems.add(line, f"groups.{FALLBACK_GROUP}", "this name means the users without a group", another)
    elif name not in group_names:
        problems.add(root.lines["default_group"], "default_group", f"group {quote_text(name)} does not exist", allowed)
    elif name in groups and groups[name].values.get("admin"):
        problem = f"{quote_text(name)} has `admin: true`: everybody would be an administrator"
        problems.add(root.lines["default_group"], "default_group", problem, allowed)


def _check_swap(section: Section, key: str, inherited: LimitValues, problems: ProblemList) -> None:
    """Check memory_swap as Docker does: not less than memory, and not without a limit of memory."""
    line = section.lines.get("memory_swap", section.lines.get("memory"))
    if line is None:
        return
    values = {**BUILT_IN, **inherited, **section.values}
    memory, memory_and_swap = values["memory"], values["memory_swap"]
    if memory_and_swap is None or (memory is not None and memory_and_swap >= memory):
        return
    if memory is None:
        problem = f"is {readable_size(memory_and_swap)}, and memory has no limit"
    else:
        problem = "is {}, and memory is {}".format(*readable_sizes(memory_and_swap, memory))
    problems.add(line, f"{key}.memory_swap", problem, "memory and swap together, not less than memory; or null")
