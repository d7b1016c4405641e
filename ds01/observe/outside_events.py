"""One event when something outside ds01 begins to use a GPU, and one when it ends, as the tick compares its passes.

No answer ends nothing: what used a slot whose processes are unknown now is still assumed to use it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache, partial
from typing import Any

from ds01.api.seeing.server_view import OutsideView
from ds01.dataclass import dataclass
from ds01.engines.protocol import EngineContainer
from ds01.gpus.model import GpuObservation
from ds01.lifecycle.context.allocation import allocation_input, outside_containers
from ds01.lifecycle.context.context import Context
from ds01.observe.server.outside import outside_views
from ds01.observe.server.process_owners import process_owner
from ds01.placement.allocation_input import AllocationInput
from ds01.system.data import DataError, format_time, parse_time

DOCUMENT = "outside"  # of the ledger
BEGAN, ENDED = "outside_began", "outside_ended"


@dataclass(frozen=True)
class Use:
    """A container or process outside ds01, and the slots that it uses. `pid` is None for a container."""

    what: str
    who: str
    pid: int | None
    slots: tuple[str, ...]
    user: str | None
    command: str | None
    since: datetime  # when it started, or was first seen

    @property
    def identity(self) -> tuple[str, str, int | None]:
        """What tells it from others. Containers come and go as a whole, whatever processes they have."""
        return self.what, self.who, self.pid


def report_outside_use(context: Context, gpus: GpuObservation, listed: Sequence[EngineContainer]) -> None:
    """Emit the events of this pass, and remember what it saw. Raises Ds01Error, OSError.

    `gpus` and `listed`: what the GPUs and the engine answered in this pass.
    """
    entries = context.ledger.read()
    inputs = allocation_input(context, entries, gpus, outside_containers(context, entries, listed))
    document = context.ledger.document(DOCUMENT)
    before = read_uses(document.read())
    find_owner = cache(partial(process_owner, users=context.users))
    now = context.clock()
    seen = current_uses(inputs, outside_views(_without_ours(context, inputs), find_owner), now)
    after = tuple(keep_unknown(before, seen, gpus))
    if after == before:
        return
    # Stored first: an event that is lost is better than one that is told again and again.
    document.write({"uses": [_document(use) for use in after]})
    for kind, use in changes(before, after):
        more = {"seconds": max(0.0, (now - use.since).total_seconds())} if kind == ENDED else {}
        context.emit(
            kind,
            {
                "actor": "observed",
                "user": use.user,
                "what": use.what,
                "who": use.who,
                "pid": use.pid,
                "command": use.command,
                "slots": use.slots,
                "since": format_time(use.since),
            }
            | more,
        )


def _without_ours(context: Context, inputs: AllocationInput) -> AllocationInput:
    """Leave out ds01's own containers, which have events of their own (conflict), and what is only unknown."""
    ours = context.ledger.docker_ids()
    uses = [
        (slot, use)
        for slot, use in inputs.uses
        if use.detail.get("docker_id") not in ours
        and (use.what == "process" or (use.what == "container" and use.key is not None))
    ]
    return replace(inputs, uses=uses)


def current_uses(inputs: AllocationInput, views: Iterable[OutsideView], now: datetime) -> tuple[Use, ...]:
    """Return the uses by container, or by process outside containers, each with all of its slots. Pure."""
    found: dict[tuple[str, str, int | None], Use] = {}
    for view in views:
        is_process = view.what == "process"
        use = Use(
            what=view.what,
            who=view.who,
            pid=view.pid if is_process else None,
            slots=(view.slot,),
            user=view.user,
            command=view.command if is_process else None,
            since=view.since if is_process and view.since is not None else now,
        )
        known = found.get(use.identity)
        if known is None:
            found[use.identity] = use
        elif view.slot not in known.slots:
            found[use.identity] = replace(known, slots=(*known.slots, view.slot))
    return tuple(found.values())


def keep_unknown(before: Sequence[Use], seen: Sequence[Use], gpus: GpuObservation) -> Iterator[Use]:
    """Yield what is in use now: what was seen, and what cannot be ruled out on slots that did not answer. Pure."""
    earlier = {use.identity: use for use in before}
    for use in seen:
        known = earlier.pop(use.identity, None)
        # The start is computed from the clock, and can differ by a second each time.
        yield use if known is None else replace(use, since=known.since, command=known.command, user=known.user)
    answered = {slot.slot for slot in gpus.slots if slot.processes is not None and slot.unhealthy is None}
    is_complete = all(gpu.unhealthy is None for gpu in gpus.gpus)
    present = {slot.slot for slot in gpus.slots}
    for use in earlier.values():
        if any(slot not in answered and (slot in present or not is_complete) for slot in use.slots):
            yield use


def changes(before: Sequence[Use], after: Sequence[Use]) -> Iterator[tuple[str, Use]]:
    """Yield what ended and what began. Pure."""
    old, new = {use.identity for use in before}, {use.identity for use in after}
    yield from ((ENDED, use) for use in before if use.identity not in new)
    yield from ((BEGAN, use) for use in after if use.identity not in old)


def read_uses(document: Mapping[str, Any]) -> tuple[Use, ...]:
    """Return the uses of the last pass; a damaged entry is left out."""
    items = document.get("uses")
    return tuple(use for item in (items if isinstance(items, list) else []) if (use := _read_use(item)) is not None)


def _read_use(item: Any) -> Use | None:
    try:
        return Use(
            what=str(item["what"]),
            who=str(item["who"]),
            pid=item["pid"] if isinstance(item["pid"], int) else None,
            slots=tuple(str(slot) for slot in item["slots"]),
            user=None if item["user"] is None else str(item["user"]),
            command=None if item["command"] is None else str(item["command"]),
            since=parse_time(item["since"]),
        )
    except (KeyError, TypeError, DataError):
        return None


def _document(use: Use) -> dict[str, object]:
    return {
        "what": use.what, "who": use.who, "pid": use.pid, "slots": list(use.slots), "user": use.user,
        "command": use.command, "since": format_time(use.since),
    }  # fmt: skip
