"""Reservations, which stood in a user's override, and exemptions, which had a file of their own."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import tzinfo

from ds01.policy.legacy import keys
from ds01.policy.legacy.draft import Block, flow, listed, one_line, quoted
from ds01.policy.legacy.limits import Notes
from ds01.policy.legacy.sources import child, entries, texts
from ds01.policy.legacy.values import moment, slot
from ds01.policy.reading.kinds import LOGIN, SLOT
from ds01.policy.reading.nodes import Node, Sequence
from ds01.policy.reading.schema import EXEMPTIBLE
from ds01.policy.units import NotAllowed, parse_time


@dataclass
class Exemptions:
    """The new exemptions, a line each, and comments on them."""

    items: list[str] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)


def take_reservation(
    login: str, node: Node, file: str, zone: tzinfo, notes: Notes, block: Block, reservations: list[str]
) -> None:
    """Add the reservation that a user's override described; an incomplete one becomes comments of `block`."""
    parts = {name: child(node, name) for name in keys.RESERVATION}
    there = {name: value for name, value in parts.items() if value is not None}
    if not there:
        return
    where = f"user_overrides.{login}"
    try:
        start, end = (moment("".join(texts(parts[name])), zone) for name in ("reservation_start", "reservation_end"))
        names = [SLOT.read(slot(name)) for name in texts(parts["reserved_gpus"])]
        if not names:
            raise NotAllowed("it names no GPU", "reserved_gpus: [0]")
        if parse_time(start, zone, day_begins=True) >= parse_time(end, zone):
            raise NotAllowed("it ends before it begins", "reservation_end after reservation_start")
    except NotAllowed as error:
        for name, value in there.items():
            notes.gone(block, file, f"{where}.{name}", value, f"the reservation cannot be read: {error.problem}")
        return
    entry = {"for": quoted(login), "slots": listed(names), "from": quoted(start), "until": quoted(end)}
    if why := " ".join(" ".join(texts(child(node, "reason"))).split()):
        entry["reason"] = quoted(why)
    reservations.append(flow(entry))
    line = next(iter(there.values())).line
    notes.changed(file, line, f"{where}.reserved_gpus", f"now a reservation of {', '.join(names)} for {login}")


def convert_exemptions(node: Node, file: str, zone: tzinfo, notes: Notes, exemptions: Exemptions) -> None:
    """Add the exemptions of a list."""
    for index, item in enumerate(node.items if isinstance(node, Sequence) else []):
        _one(item, f"exemptions[{index}]", file, zone, notes, exemptions)


def _one(item: Node, where: str, file: str, zone: tzinfo, notes: Notes, exemptions: Exemptions) -> None:
    says = {keys.EXEMPTION.get(name, name): node for name, _, node in entries(item)}
    login = "".join(texts(says.get("user")))
    limits = [name.removesuffix("_h") for name in texts(says.get("from"))]
    known = [name for name in dict.fromkeys(limits) if name in EXEMPTIBLE]
    expiry = "".join(texts(says.get("until")))
    try:
        LOGIN.read(login)
        until = moment(expiry, zone) if expiry else None
        if not known:
            raise NotAllowed("it names no limit", ", ".join(EXEMPTIBLE))
    except NotAllowed as error:
        exemptions.comments.append(f"{where}: {one_line(login)}   (not taken over: {one_line(error.problem)})")
        notes.changed(file, item.line, where, f"not taken over: {error.problem}")
        return
    entry = {"user": quoted(login), "from": listed(known)}
    if until is not None:
        entry["until"] = quoted(until)
    if why := " ".join(" ".join(texts(says.get("reason"))).split()):
        entry["reason"] = quoted(why)
    exemptions.items.append(flow(entry))
    notes.changed(file, item.line, where, f"now an exemption of {login} from {', '.join(known)}")
    for name in limits:
        if name not in known:
            exemptions.comments.append(f"{where}.exempt_from: {one_line(name)}   (there is no such exemption)")
            notes.changed(file, item.line, f"{where}.exempt_from", f"{name} is not taken over: no such exemption")
    for name, value in says.items():
        if name not in ("user", "from", "until", "reason"):
            shown = one_line(" ".join(texts(value)))
            exemptions.comments.append(f"{where}.{name}: {shown}   (kept as a comment)")
            notes.changed(file, value.line, f"{where}.{name}", "kept as a comment")
