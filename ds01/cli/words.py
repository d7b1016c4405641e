"""The words for data: times, durations, sizes, slots, refusals and errors. Pure, but for the zone of local times."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from ds01.errors import Ds01Error
from ds01.gpus.model import Claim, Refusal, Rule
from ds01.system.data import from_json


def describe_error(error: Ds01Error) -> str:
    """An error in a few lines: what happened, why with the numbers, what to do."""
    error = _worded(error)
    lines = [f"Error: {printable(error.message)}"]
    lines += [f"  {printable(line)}" for line in (error.why or "").splitlines()]
    lines += [f"  {'→ ' if number == 0 else '  '}{printable(line)}" for number, line in enumerate(_lines(error.hint))]
    return "\n".join(lines)


def error_document(error: Ds01Error) -> dict[str, Any]:
    """An error as the JSON document of a command; a refusal stands in it whole."""
    worded = _worded(error)
    document: dict[str, Any] = {
        "code": worded.code,
        "message": worded.message,
        "why": worded.why,
        "hint": worded.hint,
    }
    if error.data and "refusal" in error.data:
        document["refusal"] = error.data["refusal"]
    return {"error": document}


def describe_refusal(refusal: Refusal, now: datetime) -> tuple[str, str | None, str | None]:
    """A refusal as message, why and hint."""
    asked = _slots(refusal.asked)
    rule = refusal.rule
    if rule is Rule.QUOTA:
        message = f"your quota is {_slots(refusal.limit)}; you have {refusal.used}, and asked for {refusal.asked} more"
        own = sorted({claim.container or "" for claim in refusal.claims})
        name = own[0].partition("._.")[0] if own else "NAME"
        return message, describe_claims(refusal.claims, now), f"`container-retire {name}` gives one back at once"
    if rule is Rule.PER_CONTAINER:
        message = f"one container may have {_slots(refusal.limit)}, and {refusal.asked} were asked for"
        return message, None, "ask for fewer with --gpus, or ask an administrator"
    if rule is Rule.FULL_GPU:
        why = "the policy says allow_full_gpu: false"
        return "whole GPUs are not for you", why, "--gpu-type mig asks for a MIG instance"
    if rule is Rule.CONTAINERS:
        message = f"you have {refusal.used} of {refusal.limit} containers"
        return message, None, "`container-cleanup` finds the stopped ones, `container-retire NAME` ends one"
    if rule is Rule.NO_GPUS:
        most = refusal.limit or 0
        message = f"this server cannot give {asked} of that kind"
        return message, f"it has {most} at most", "`ds01 gpu status` shows what there is"
    if rule is Rule.LOST:
        why = describe_claims(refusal.claims, now)
        return "the GPU of this container is gone", why, "container-start NAME --recreate makes it anew on another one"
    message = f"no GPU is free now for {asked}" if refusal.asked > 1 else "no GPU is free now"
    hint = "`ds01 gpu status` shows all of them"
    if refusal.earliest is not None:
        hint = f"the first comes free {moment(refusal.earliest, now)} at the latest; " + hint
    return message, describe_claims(refusal.claims, now), hint


def describe_claims(claims: Sequence[Claim], now: datetime) -> str:
    """Who has what until when, a line each, in columns."""
    rows = []
    for claim in claims:
        name = (claim.container or "").partition("._.")[0]
        who = " ".join(part for part in (claim.user, f"({name})" if name else None) if part) or "–"
        rows.append((claim.slot, who, _state(claim, now)))
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    return "\n".join(f"{slot:{widths[0]}}  {who:{widths[1]}}  {state}" for slot, who, state in rows)


def moment(at: datetime, now: datetime) -> str:
    """A time for people, in their zone: today's by the hour, others with the day, and how long until then."""
    local, today = at.astimezone(), now.astimezone()
    text = local.strftime("%H:%M" if local.date() == today.date() else "%a %d %b %H:%M")
    return f"{text} ({span(at - now)} left)" if at > now else text


def span(duration: timedelta) -> str:
    """A length of time in its two largest units: `3d 4h`, `12m`, `40s`."""
    seconds = max(0, int(duration.total_seconds()))
    units = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
    for place, (unit, size) in enumerate(units):
        if seconds >= size or unit == "s":
            first, rest = divmod(seconds, size)
            if place + 1 < len(units) and unit in "dh" and (second := rest // units[place + 1][1]):
                return f"{first}{unit} {second}{units[place + 1][0]}"
            return f"{first}{unit}"
    return "0s"


def size(number: int | None) -> str:
    """Bytes for people, binary: `1.2G`."""
    if number is None:
        return "–"
    value = float(number)
    for unit in ("B", "K", "M", "G"):
        if value < 1024:
            return f"{value:.0f}{unit}" if unit in "BK" or value >= 100 else f"{value:.1f}{unit}"
        value /= 1024
    return f"{value:.1f}T"


def gpu_names(slots: Sequence[Any]) -> str:
    """Slots for people: `0:1 (2g.20gb)`."""
    return ", ".join(f"{item.slot} ({item.profile})" if item.profile else item.slot for item in slots)


def printable(text: str) -> str:
    """Text without control characters: names from outside must not move a terminal's cursor."""
    return "".join(letter if letter.isprintable() or letter == "\t" else "�" for letter in text)


def _worded(error: Ds01Error) -> Ds01Error:
    """An error from the gate with words in place of a refusal's data."""
    data = (error.data or {}).get("refusal")
    if data is None:
        return error
    from ds01.system.clock import now

    message, why, hint = describe_refusal(from_json(Refusal, data), now())
    return type(error)(message, why=why, hint=hint, data=error.data)


def _state(claim: Claim, now: datetime) -> str:
    until = f"until {moment(claim.until, now)}" if claim.until else ""
    words = {"leased": "in use", "busy_outside": "used outside ds01", "lost": "gone"}.get(claim.state, claim.state)
    if claim.state == "leased" and claim.since is not None:
        words += f" since {moment(claim.since, now)}"
    return " ".join(part for part in (words, until, f"– {claim.why}" if claim.why else "") if part)


def _slots(number: int | None) -> str:
    return "1 GPU" if number == 1 else f"{number} GPUs"


def _lines(text: str | None) -> list[str]:
    return (text or "").splitlines()
