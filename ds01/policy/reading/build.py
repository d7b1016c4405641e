"""From the sections of the file to a Policy, with the checks that need more than one key."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ds01.policy.model import (
    Automation,
    Exemption,
    GpuAllocation,
    Group,
    Mounts,
    Notify,
    OldKey,
    Outside,
    Override,
    Policy,
    Reservation,
    Values,
)
from ds01.policy.reading.problems import Problems
from ds01.policy.reading.schema import NESTED
from ds01.policy.reading.shapes import Section
from ds01.policy.resolve import BUILT_IN, UNGROUPED
from ds01.policy.units import readable_size, readable_sizes, show

_PLAIN = ("workspaces", "ports", "network", "reclaim_held", "server_name")


def build(root: Section, members: Mapping[str, frozenset[str]], path: Path, problems: Problems) -> Policy:
    """The policy that the sections describe; `members` are those of the files beside it, by group.
    It is whole only if nothing was noted in `problems`.
    """
    says = root.values
    sections: dict[str, Section] = says["groups"].values if "groups" in says else {}
    overrides: dict[str, Section] = says["user_overrides"].values if "user_overrides" in says else {}
    defaults = _values(says["defaults"]) if "defaults" in says else {}
    known = tuple(says["groups"].lines) if "groups" in says else ()
    _check_default_group(root, known, sections, problems)
    if "defaults" in says:
        _check_swap(says["defaults"], "defaults", {}, problems)
    for name, part in sections.items():
        _check_swap(part, f"groups.{name}", defaults, problems)
    for name, part in overrides.items():
        if part.values.keys() >= {"memory", "memory_swap"}:  # with one of them, it depends on the group
            _check_swap(part, f"user_overrides.{name}", {}, problems)
    notify = dict(_section(says, "notify"))
    if "command" in notify:
        notify["command"] = notify["command"] or None
    return Policy(
        path=path,
        defaults=defaults,
        default_group=says.get("default_group"),
        groups={name: _group(name, part, members.get(name, frozenset())) for name, part in sections.items()},
        user_overrides={name: _override(name, part) for name, part in overrides.items()},
        reservations=_reservations(says.get("reservations", ()), known, problems),
        exemptions=_exemptions(says.get("exemptions", ())),
        gpu_allocation=GpuAllocation(**_section(says, "gpu_allocation")),
        policies=Automation(**_section(says, "policies")),
        mounts=Mounts(**_section(says, "mounts")),
        outside=Outside(**_section(says, "outside")),
        notify=Notify(**notify),
        old_keys=_old_keys(path, [says.get("defaults"), *sections.values(), *overrides.values()]),
        **{key: says[key] for key in _PLAIN if key in says},
    )


def _section(says: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    return says[key].values if key in says else {}


def _values(part: Section) -> Values:
    """The limits that a section writes, nested ones under names like `aggregate.memory`."""
    values: dict[str, Any] = {}
    for key, value in part.values.items():
        if key in NESTED:
            values.update({f"{key}.{name}": inner for name, inner in value.values.items()})
        elif key in BUILT_IN:
            values[key] = value
    return values


def _group(name: str, part: Section, members: frozenset[str]) -> Group:
    return Group(
        name,
        members=members.union(part.values.get("members", ())),
        unix_groups=frozenset(part.values.get("unix_groups", ())),
        admin=part.values.get("admin", False),
        values=_values(part),
    )


def _override(name: str, part: Section) -> Override:
    return Override(name, _values(part), part.values.get("until"), part.values.get("reason"))


def _reservations(parts: tuple[Section, ...], groups: tuple[str, ...], problems: Problems) -> tuple[Reservation, ...]:
    found = []
    for index, part in enumerate(parts):
        key, says = f"reservations[{index}]", part.values
        whom, start, end, slots = says.get("for", ""), says.get("from"), says.get("until"), says.get("slots")
        if whom[:1] == "@" and whom[1:] not in groups:
            known = f"a login, or a group: {', '.join(f'@{name}' for name in groups) or 'there is none in `groups`'}"
            problems.add(part.lines["for"], f"{key}.for", f"there is no group {show(whom[1:])}", known)
        if not (start and end and slots):
            continue
        if start >= end:
            problems.add(part.lines["until"], f"{key}.until", "is not after `from`", "a time after `from`")
        owner = {"group": whom[1:]} if whom[:1] == "@" else {"user": whom}
        found.append(Reservation(slots, start, end, reason=says.get("reason"), **owner))
    return tuple(found)


def _exemptions(parts: tuple[Section, ...]) -> tuple[Exemption, ...]:
    return tuple(
        Exemption(says["user"], says["from"], says.get("until"), says.get("reason"))
        for says in (part.values for part in parts)
        if "user" in says and "from" in says
    )


def _old_keys(path: Path, parts: list[Section | None]) -> tuple[OldKey, ...]:
    found = [OldKey(str(path), *old) for part in parts if part is not None for old in part.old]
    return tuple(sorted(found, key=lambda old: old.line))


def _check_default_group(
    root: Section, known: tuple[str, ...], groups: Mapping[str, Section], problems: Problems
) -> None:
    name = root.values.get("default_group")
    allowed = ", ".join(known) or "a group that stands in `groups`"
    if name is None:
        if UNGROUPED in known:  # it would be two groups: this one, and those who are in none
            line, another = root.values["groups"].lines[UNGROUPED], f"another name, or `default_group: {UNGROUPED}`"
            problems.add(line, f"groups.{UNGROUPED}", "this name is that of users who are in no group", another)
    elif name not in known:
        problems.add(root.lines["default_group"], "default_group", f"there is no group {show(name)}", allowed)
    elif name in groups and groups[name].values.get("admin"):
        problem = f"{show(name)} has `admin: true`: everybody would be an administrator"
        problems.add(root.lines["default_group"], "default_group", problem, allowed)


def _check_swap(part: Section, key: str, below: Values, problems: Problems) -> None:
    """Docker refuses memory and swap together if that is less than memory, or if memory has no limit."""
    line = part.lines.get("memory_swap", part.lines.get("memory"))
    if line is None:
        return
    values = {**BUILT_IN, **below, **part.values}
    memory, both = values["memory"], values["memory_swap"]
    if both is None or (memory is not None and both >= memory):
        return
    if memory is None:
        problem = f"is {readable_size(both)}, and memory has no limit"
    else:
        problem = "is {}, and memory is {}".format(*readable_sizes(both, memory))
    problems.add(line, f"{key}.memory_swap", problem, "memory and swap together, not less than memory; or null")
