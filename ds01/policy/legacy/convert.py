"""Convert a ds01-infra policy to the current format, for `ds01 policy import`."""

from __future__ import annotations

import re
from datetime import tzinfo
from pathlib import Path
from typing import Any

from ds01.dataclass import dataclass
from ds01.errors import PolicyUnreadable
from ds01.policy.legacy.draft import Block, Change, yaml_list, yaml_string
from ds01.policy.legacy.input_files import (
    ARCHIVED,
    GROUPS_OF_USERS,
    LegacyFiles,
    child_node,
    node_texts,
    read_legacy_files,
    section_entries,
)
from ds01.policy.legacy.limits import ImportNotes, convert_limits, other_keys, removal_reason
from ds01.policy.legacy.reservations_exemptions import ConvertedExemptions, convert_exemptions, convert_reservation
from ds01.policy.legacy.server import UNKNOWN_KEY, aggregate_limits_off, convert_server
from ds01.policy.legacy.values import NULL, convert_flag
from ds01.policy.reading.load import check_text
from ds01.policy.reading.nodes import Mapping, Node, Scalar, Sequence
from ds01.policy.reading.value_types import LOGIN
from ds01.policy.units import InvalidValue

SECTIONS: dict[str, type[Node]] = {
    "defaults": Mapping, "default_group": Scalar, "groups": Mapping, "user_overrides": Mapping, "exemptions": Sequence,
    "gpu_allocation": Mapping, "policies": Mapping, "advanced": Mapping, "monitoring": Mapping,
}  # fmt: skip


@dataclass(frozen=True)
class ImportedPolicy:
    """The new policy as text, and what happened to the old keys."""

    text: str
    changes: tuple[Change, ...]


def import_policy(path: Path, zone: tzinfo) -> ImportedPolicy:
    """Convert the old policy at `path` and the files beside it.

    Times without a zone are in `zone`. Raises PolicyUnreadable if a file cannot be read at all.
    """
    sources = read_legacy_files(path)
    notes, root = ImportNotes(), Block()
    aggregate = not aggregate_limits_off(sources.main)
    file = str(path)
    for name in ("defaults", "default_group", "groups", "user_overrides", "reservations", "exemptions"):
        root.entries[name] = Block()
    defaults = child_node(sources.main, "defaults")
    if defaults is not None:
        root.entries["defaults"] = _convert_section(defaults, "defaults", file, notes, aggregate=aggregate)
    _convert_groups(sources, root, notes, aggregate=aggregate)
    reservations: list[str] = []
    _convert_overrides(sources, root, notes, zone, reservations, aggregate=aggregate)
    exemptions = ConvertedExemptions()
    if (node := child_node(sources.main, "exemptions")) is not None:
        convert_exemptions(node, file, zone, notes, exemptions)
    if sources.exemptions is not None:
        convert_exemptions(sources.exemptions[1], str(sources.exemptions[0]), zone, notes, exemptions)
    _convert_default_group(sources, root, notes)
    convert_server(sources.main, root, file, notes)
    for name, _, value in section_entries(sources.main):
        expected_type = SECTIONS.get(name)
        if expected_type is None:
            notes.add_removed(root, file, name, value, removal_reason(name) or UNKNOWN_KEY)
        elif not isinstance(value, expected_type) and not (isinstance(value, Scalar) and value.is_null):
            notes.add_removed(root, file, name, value, "it cannot be read as this section")
    root.entries["reservations"] = reservations
    root.entries["exemptions"] = exemptions.items
    text = _render(root, exemptions, path)
    if _fix_swap(_problems(text, path, zone), root, file, notes):
        text = _render(root, exemptions, path)
    if problems := _problems(text, path, zone):
        raise PolicyUnreadable(
            f"{path} cannot be imported: the new policy would have errors.",
            why="\n".join(f"{item['key']}: {item['problem']}; allowed: {item['allowed']}" for item in problems),
            hint="correct these keys in the old file, then import it again",
            data={"errors": problems},
        )
    return ImportedPolicy(text, tuple(notes.changes))


def _convert_section(node: Node, where: str, file: str, notes: ImportNotes, *, aggregate: bool) -> Block:
    """Return a section of limits; its other keys become comments."""
    block = convert_limits(node, where, file, notes, aggregate=aggregate)
    for name, value in other_keys(node).items():
        path = f"{where}.{name}"
        notes.add_removed(block, file, path, value, removal_reason(path) or UNKNOWN_KEY)
    return block


def _convert_groups(sources: LegacyFiles, root: Block, notes: ImportNotes, *, aggregate: bool) -> None:
    file = str(sources.path)
    groups = root.section("groups")
    archived = {login for _, login in sources.members.get(ARCHIVED, [])}
    admins = set(node_texts(child_node(child_node(sources.main, "access_control"), "admin_users")))
    listed_anywhere = {login for lines in sources.members.values() for _, login in lines}
    for name, line, node in section_entries(child_node(sources.main, "groups")):
        key = re.sub("[^a-z0-9_]", "_", name.lower())
        if key != name:
            notes.add_change(file, line, f"groups.{name}", f"now groups.{key}: lower-case letters, digits and _ only")
        if key in groups.entries:
            notes.add_removed(groups, file, f"groups.{name}", node, f"group {key} exists already")
            continue
        block = convert_limits(node, f"groups.{name}", file, notes, aggregate=aggregate)
        members = node_texts(child_node(node, "members")) + [login for _, login in sources.members.get(name, [])]
        for number, login, group in sources.user_groups:
            if group == name and login not in listed_anywhere:
                members.append(login)
                notes.add_change(
                    str(sources.path.parent / GROUPS_OF_USERS), number, login, f"now a member of groups.{key}"
                )
        kept = [login for login in dict.fromkeys(members) if login not in archived and _is_login(login)]
        for login in dict.fromkeys(members):
            if not _is_login(login):
                notes.add_change(file, line, f"groups.{name}", f"{login!r} is not a login and is left out")
        head: dict[str, str | Block | list[str]] = {"members": yaml_list(kept)}
        for extra in ("unix_groups", "admin"):
            value = child_node(node, extra)
            if value is not None:
                head[extra] = (
                    yaml_list(node_texts(value)) if extra == "unix_groups" else convert_flag("".join(node_texts(value)))
                )
        if kept and set(kept) <= admins and "admin" not in head:
            head["admin"] = "true"
            notes.add_change(
                file, line, f"groups.{name}", "now with admin: true, since access_control names its members"
            )
        block.entries = {**head, **block.entries}
        for extra, value in other_keys(node).items():
            if extra not in ("members", "unix_groups", "admin"):
                path = f"groups.{name}.{extra}"
                notes.add_removed(block, file, path, value, removal_reason(path) or UNKNOWN_KEY)
        groups.entries[key] = block
    _note_unknown_groups(sources, {name for name, _, _ in section_entries(child_node(sources.main, "groups"))}, notes)
    if archived:
        members_file = sources.path.parent / "groups" / f"{ARCHIVED}.members"
        notes.add_change(
            str(members_file), 1, ARCHIVED, f"{len(archived)} people are in no group; do not copy this file"
        )


def _note_unknown_groups(sources: LegacyFiles, groups: set[str], notes: ImportNotes) -> None:
    """Note the members in files for groups that the policy does not have."""
    for name, lines in sources.members.items():
        if name not in groups and name != ARCHIVED and lines:
            logins = ", ".join(login for _, login in lines)
            file = str(sources.path.parent / "groups" / f"{name}.members")
            notes.add_change(
                file, lines[0][0], name, f"not taken over: the policy has no group {name}; in it: {logins}"
            )
    for number, login, group in sources.user_groups:
        if group not in groups and group != ARCHIVED:
            file = str(sources.path.parent / GROUPS_OF_USERS)
            notes.add_change(file, number, login, f"not taken over: the policy has no group {group}")


def _convert_overrides(
    sources: LegacyFiles, root: Block, notes: ImportNotes, zone: tzinfo, reservations: list[str], *, aggregate: bool
) -> None:
    overrides = root.section("user_overrides")
    places = [(str(sources.path), child_node(sources.main, "user_overrides"))]
    if sources.overrides is not None:
        places.append((str(sources.overrides[0]), sources.overrides[1]))
    for file, section in places:
        for name, line, node in section_entries(section):
            where = f"user_overrides.{name}"
            if not _is_login(name):
                notes.add_removed(overrides, file, where, node, "the name is not a login")
                continue
            if yaml_string(name) in overrides.entries:
                notes.add_change(file, line, where, "replaces the one in the main file")
            block = convert_limits(node, where, file, notes, aggregate=aggregate)
            rest = other_keys(node)
            convert_reservation(name, node, file, zone, notes, block, reservations)
            for key, value in rest.items():
                path = f"{where}.{key}"
                if key in ("until", "reason") and isinstance(value, Scalar) and not value.is_null:
                    block.entries[key] = yaml_string(" ".join(value.text.split()))
                elif key not in ("reservation_start", "reservation_end", "reserved_gpus"):
                    notes.add_removed(block, file, path, value, removal_reason(path) or UNKNOWN_KEY)
            overrides.entries[yaml_string(name)] = block


def _convert_default_group(sources: LegacyFiles, root: Block, notes: ImportNotes) -> None:
    node = child_node(sources.main, "default_group")
    groups = root.section("groups")
    name = "".join(node_texts(node))
    key = re.sub("[^a-z0-9_]", "_", name.lower())
    group = groups.entries.get(key)
    if not name and "default" in groups.entries:
        key, group = "default", groups.entries["default"]
    if isinstance(group, Block) and group.entries.get("admin") != "true":
        root.entries["default_group"] = key
        return
    root.entries["default_group"] = NULL
    if node is not None and name:
        why = f"group {name} does not exist" if group is None else f"{name} has admin: true"
        notes.add_removed(root, str(sources.path), "default_group", node, why)


def _render(root: Block, exemptions: ConvertedExemptions, path: Path) -> str:
    exempt = [f"# {comment}" for comment in exemptions.comments]
    lines = [f"# Imported from {path} by ds01 policy import.", "# Comments below name keys without a counterpart."]
    for name, value in root.entries.items():
        part = Block({name: value})
        lines += ["", *part.lines()]
        if name == "exemptions":
            lines += exempt
    if root.comments:
        lines += ["", "# Sections without a counterpart:", *(f"# {comment}" for comment in root.comments)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _problems(text: str, path: Path, zone: tzinfo) -> list[dict[str, Any]]:
    """Return the errors of the new policy."""
    try:
        check_text(text, path, zone)
    except PolicyUnreadable as error:
        return list((error.data or {})["errors"])
    return []


def _fix_swap(problems: list[dict[str, Any]], root: Block, file: str, notes: ImportNotes) -> bool:
    """Set `memory_swap` to null where it is less than memory, which Docker refuses. Returns whether any was changed."""
    places = [item["key"].removesuffix(".memory_swap") for item in problems if item["key"].endswith(".memory_swap")]
    for place in places:
        section, _, name = place.partition(".")
        block = root.section(section)
        block = block.section(yaml_string(name)) if name else block
        block.entries["memory_swap"] = NULL
        notes.add_change(file, 1, f"{place}.memory_swap", "now null: it was less than memory")
    return bool(places)


def _is_login(text: str) -> bool:
    try:
        return bool(LOGIN.read(text))
    except InvalidValue:
        return False
