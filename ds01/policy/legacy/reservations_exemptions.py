"""Reservations, which stood in a user's override, and exemptions, which had a file of their own."""

from __future__ import annotations

from dataclasses import field
from datetime import tzinfo

from ds01.dataclass import dataclass
from ds01.policy.legacy import keys
from ds01.policy.legacy.draft import Block, comment_text, yaml_flow_mapping, yaml_list, yaml_string
from ds01.policy.legacy.input_files import child_node, node_texts, section_entries
from ds01.policy.legacy.limits import ImportNotes
from ds01.policy.legacy.values import convert_slot_name, convert_time
from ds01.policy.reading.nodes import Node, Sequence
from ds01.policy.reading.schema import EXEMPTIBLE
from ds01.policy.reading.value_types import LOGIN, SLOT
from ds01.policy.units import InvalidValue, parse_time


@dataclass
class ConvertedExemptions:
    """The new exemptions, a line each, and comments on them."""

    items: list[str] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)


def convert_reservation(
    login: str, node: Node, file: str, zone: tzinfo, notes: ImportNotes, block: Block, reservations: list[str]
) -> None:
    """Add the reservation that a user's override described; an incomplete one becomes comments of `block`."""
    parts = {name: child_node(node, name) for name in keys.RESERVATION_KEYS}
    present = {name: value for name, value in parts.items() if value is not None}
    if not present:
        return
    where = f"user_overrides.{login}"
    try:
        start, end = (
            convert_time("".join(node_texts(parts[name])), zone) for name in ("reservation_start", "reservation_end")
        )
        names = [SLOT.read(convert_slot_name(name)) for name in node_texts(parts["reserved_gpus"])]
        if not names:
            raise InvalidValue("it names no GPU", "reserved_gpus: [0]")
        if parse_time(start, zone, day_begins=True) >= parse_time(end, zone):
            raise InvalidValue("it ends before it begins", "reservation_end after reservation_start")
    except InvalidValue as error:
        for name, value in present.items():
            notes.add_removed(block, file, f"{where}.{name}", value, f"the reservation cannot be read: {error.problem}")
        return
    entry = {
        "for": yaml_string(login),
        "slots": yaml_list(names),
        "from": yaml_string(start),
        "until": yaml_string(end),
    }
    if why := " ".join(" ".join(node_texts(child_node(node, "reason"))).split()):
        entry["reason"] = yaml_string(why)
    reservations.append(yaml_flow_mapping(entry))
    line = next(iter(present.values())).line
    notes.add_change(file, line, f"{where}.reserved_gpus", f"now a reservation of {', '.join(names)} for {login}")


def convert_exemptions(
    node: Node, file: str, zone: tzinfo, notes: ImportNotes, exemptions: ConvertedExemptions
) -> None:
    """Add the exemptions of a list."""
    for index, item in enumerate(node.items if isinstance(node, Sequence) else []):
        _convert_exemption(item, f"exemptions[{index}]", file, zone, notes, exemptions)


def _convert_exemption(
    item: Node, where: str, file: str, zone: tzinfo, notes: ImportNotes, exemptions: ConvertedExemptions
) -> None:
    fields = {keys.EXEMPTION_KEYS.get(name, name): node for name, _, node in section_entries(item)}
    login = "".join(node_texts(fields.get("user")))
    limits = [name.removesuffix("_h") for name in node_texts(fields.get("from"))]
    exemptible = [name for name in dict.fromkeys(limits) if name in EXEMPTIBLE]
    expiry = "".join(node_texts(fields.get("until")))
    try:
        LOGIN.read(login)
        until = convert_time(expiry, zone) if expiry else None
        if not exemptible:
            raise InvalidValue("it names no limit", ", ".join(EXEMPTIBLE))
    except InvalidValue as error:
        exemptions.comments.append(f"{where}: {comment_text(login)}   (not taken over: {comment_text(error.problem)})")
        notes.add_change(file, item.line, where, f"not taken over: {error.problem}")
        return
    entry = {"user": yaml_string(login), "from": yaml_list(exemptible)}
    if until is not None:
        entry["until"] = yaml_string(until)
    if why := " ".join(" ".join(node_texts(fields.get("reason"))).split()):
        entry["reason"] = yaml_string(why)
    exemptions.items.append(yaml_flow_mapping(entry))
    notes.add_change(file, item.line, where, f"now an exemption of {login} from {', '.join(exemptible)}")
    for name in limits:
        if name not in exemptible:
            exemptions.comments.append(f"{where}.exempt_from: {comment_text(name)}   (there is no such exemption)")
            notes.add_change(file, item.line, f"{where}.exempt_from", f"{name} is not taken over: no such exemption")
    for name, value in fields.items():
        if name not in ("user", "from", "until", "reason"):
            shown = comment_text(" ".join(node_texts(value)))
            exemptions.comments.append(f"{where}.{name}: {shown}   (kept as a comment)")
            notes.add_change(file, value.line, f"{where}.{name}", "kept as a comment")
